"""`bert-serving explore`: labeled text before training, as a page and a summary."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bert_serving.cli.display import ConsoleObserver, console, print_json, show_metrics, show_table, spelled
from bert_serving.contract import Head
from bert_serving.errors import InputError

if TYPE_CHECKING:
    from bert_serving.config import EncoderConfig, RunConfig
    from bert_serving.exploration.explore import Exploration, ExplorationInput
    from bert_serving.exploration.findings import Finding
    from bert_serving.observer import Observer
    from bert_serving.text.preprocessing import Preprocessing

ENCODER = "all-MiniLM-L6-v2"
_RUN_FILE = ".toml"
_SIGNS = {"fix": "fix", "look": "check", "good": "ok"}


@dataclass(frozen=True)
class _Options:
    """The options that decide what is looked at."""

    overrides: list[str]
    encoder: str | None
    sequence_length: int | None
    columns: dict[str, str | None]
    head: Head | None


def explore(
    source: Annotated[
        Path,
        typer.Argument(
            help="Run file, or labeled text: TSV, CSV, JSON lines, Parquet, label folder.", metavar="RUN.toml|FILE"
        ),
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", help="Override a key of the run file. Repeatable.", metavar="KEY=VALUE"),
    ] = None,
    encoder: Annotated[
        str | None,
        typer.Option(
            help="Whose tokenizer to ask: a name of `encoders list` or a folder.",
            metavar="NAME_OR_PATH",
            show_default=f"the run file's, else {ENCODER}",
        ),
    ] = None,
    sequence_length: Annotated[
        int | None,
        typer.Option(min=4, help="Tokens at which texts are cut.", show_default="the run file's, else 128"),
    ] = None,
    text: Annotated[str | None, typer.Option(help="Name of a file's text column.", show_default="text")] = None,
    text_pair: Annotated[str | None, typer.Option(help="Name of a file's second text column, for pairs.")] = None,
    label: Annotated[str | None, typer.Option(help="Name of a file's label column.", show_default="label")] = None,
    head: Annotated[Head | None, typer.Option(help="What a file's labels are.", show_default="softmax")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Page to write.", show_default="<name of the source>.explore.html, here")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print what was found as JSON; a page is written with --out only.")
    ] = False,
) -> None:
    """Look at labeled text before training on it."""
    from bert_serving.extras import require
    from bert_serving.observer import Observer

    require("explorations", ("altair", "datasketch", "jinja2", "vl_convert"), "report")
    from bert_serving.html.page import writable

    options = _Options(
        overrides or [],
        encoder,
        sequence_length,
        {"text": text, "text_pair": text_pair, "label": label},
        head,
    )
    page = None if as_json and out is None else writable(out or Path(f"{_stem(source)}.explore.html"))
    config = _config(source, options)
    observer = Observer() if as_json else ConsoleObserver()
    with observer.stage("Reading the data"):
        material = _material(config, one_table=source.suffix != _RUN_FILE)
    from bert_serving.exploration.findings import findings

    seen = _explore(material, config, observer)
    found = findings(seen)
    if page is not None:
        from bert_serving.exploration.page.exploration import ExplorationNames, exploration_page

        with observer.stage("Writing the page"):
            exploration_page(seen, found, ExplorationNames(source.resolve().name, _encoder_name(config.encoder))).write(
                page
            )
    if as_json:
        answer = {**seen.to_json(), "findings": [finding.to_json() for finding in found]}
        print_json({**answer, "page": None if page is None else str(page)})
        return
    _show(seen, found)
    console.print(f"\n  page: {page}", soft_wrap=True, markup=False)


# === What to look at ===


def _stem(source: Path) -> str:
    """Train for data/train.tsv.gz."""
    return Path(source.resolve().name.removesuffix(".gz")).stem or "data"


def _config(source: Path, options: _Options) -> "RunConfig":
    """The run file, or one made up for a single file."""
    from bert_serving.config import DataConfig, EncoderConfig, HeadConfig, RunConfig, load_run_file

    if source.suffix == _RUN_FILE:
        given = [name for name, value in options.columns.items() if value is not None]
        if given:
            name = given[0]
            raise InputError(
                f"{source}: --{name.replace('_', '-')} belongs to a data file; with a run file give --set data.{name}=..."
            )
        if options.head is not None:
            raise InputError(f"{source}: --head belongs to a data file; with a run file give --set head.kind=...")
        config = load_run_file(source, options.overrides)
    else:
        if options.overrides:
            raise InputError(f"{source}: --set belongs to a run file (.toml); a data file has options of its own")
        columns = {name: value for name, value in options.columns.items() if value is not None}
        config = RunConfig(
            data=DataConfig(train=(source,)).model_copy(update=columns),
            encoder=EncoderConfig(name=ENCODER),
            head=HeadConfig(kind=options.head or Head.SOFTMAX),
        )
    changes = _encoder_changes(options)
    return config.model_copy(update={"encoder": config.encoder.model_copy(update=changes)}) if changes else config


def _encoder_changes(options: _Options) -> dict[str, object]:
    changes: dict[str, object] = {}
    if options.encoder is not None:
        path = Path(options.encoder).expanduser()
        is_path = path.exists()
        changes = {"name": None if is_path else options.encoder, "path": path if is_path else None}
        changes["preprocessing"] = None
    if options.sequence_length is not None:
        changes["sequence_length"] = options.sequence_length
    return changes


def _encoder_name(encoder: "EncoderConfig") -> str:
    return encoder.name or Path(encoder.path or "").resolve().name


def _material(config: "RunConfig", *, one_table: bool) -> "ExplorationInput":
    from bert_serving.data.splits import load_splits, resolve_labels
    from bert_serving.data.table import read_table
    from bert_serving.exploration.explore import TRAIN, ExplorationInput

    head, seed = config.head.kind, config.training.seed
    splits = load_splits(config.data, head, seed)
    tables = {TRAIN: read_table(config.data.train, config.data, head)} if one_table else splits.named()
    labels = resolve_labels(splits, config.data, head)
    return ExplorationInput(tables, splits, labels, head, config.encoder.sequence_length, seed)


def _explore(material: "ExplorationInput", config: "RunConfig", observer: "Observer") -> "Exploration":
    def load() -> "Preprocessing":
        from bert_serving.encoders.lookup import find_encoder_folder
        from bert_serving.text.preprocessing import load_preprocessing

        folder = find_encoder_folder(config.encoder, passed_over=observer.note, progress=observer.download)
        return load_preprocessing(folder.preprocessing)

    from bert_serving.exploration.explore import explore as explore_material

    return explore_material(material, load, observer)


# === The terminal ===


def _show(seen: "Exploration", found: "list[Finding]") -> None:
    show_table("The data", seen.audit.columns(), seen.audit.rows())
    show_metrics(
        f"Baselines, measured on {seen.data.measured}",
        {spelled(name): scores for name, scores in seen.baselines.items()},
    )
    show_table("What to fix first", ("level", "finding"), [[_SIGNS[finding.level], finding.title] for finding in found])
