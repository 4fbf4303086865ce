"""`bert-serving explore`: analyzes labeled text before training, as a page and a summary."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bert_serving.cli.options import label_columns
from bert_serving.console import command_observer, print_json, printable, show_lines, show_metrics, show_table
from bert_serving.contract import Head
from bert_serving.wording import score_name

if TYPE_CHECKING:
    from bert_serving.exploration.explore import Exploration
    from bert_serving.exploration.findings import Finding


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
            help="Encoder whose tokenizer is used: a name in `encoders list` or a folder.",
            metavar="NAME_OR_PATH",
            show_default="the run file's, else all-MiniLM-L6-v2",
        ),
    ] = None,
    sequence_length: Annotated[
        int | None,
        typer.Option(
            min=4, help="Number of tokens at which texts are truncated.", show_default="the run file's, else 128"
        ),
    ] = None,
    text: Annotated[
        str | None, typer.Option(help="Name of the text column of labeled text.", show_default="text")
    ] = None,
    text_pair: Annotated[
        str | None, typer.Option(help="Name of the second text column of labeled text, for pairs of texts.")
    ] = None,
    label: Annotated[
        str | None,
        typer.Option(
            help="Name of the label column of labeled text; or several columns of 0 and 1, separated by commas, for a "
            "multilabel head.",
            show_default="label",
        ),
    ] = None,
    head: Annotated[
        Head | None, typer.Option(help="Kind of the labels of labeled text.", show_default="softmax")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Page to write.", show_default="<name of the source>.explore.html, here")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the results as JSON; a page is written only with --out.")
    ] = False,
) -> None:
    """Explore labeled text before training: labels, lengths, tokens, duplicates and baselines."""
    from bert_serving.extras import require

    require("explorations", ("altair", "datasketch", "jinja2", "vl_convert"), "report")
    from bert_serving.exploration.source import ExplorationSource, encoder_name, load_tokenizer
    from bert_serving.html.page import writable

    page = None if as_json and out is None else writable(out or Path(f"{_stem(source)}.explore.html"))
    columns = {"text": text, "text_pair": text_pair, "label": label and label_columns(label)}
    explored = ExplorationSource(source, overrides or [], encoder, sequence_length, columns, head)
    config = explored.config()
    observer = command_observer(as_json=as_json)
    with observer.stage("Reading the data"):
        material = explored.material(config)
    from bert_serving.exploration.explore import explore as explore_material
    from bert_serving.exploration.findings import findings

    exploration = explore_material(material, lambda: load_tokenizer(config.encoder, observer), observer)
    results = findings(exploration)
    if page is not None:
        from bert_serving.exploration.page.exploration import ExplorationNames, exploration_page

        with observer.stage("Writing the page"):
            names = ExplorationNames(source.resolve().name, encoder_name(config.encoder))
            exploration_page(exploration, results, names).write(page)
    if as_json:
        answer = {**exploration.to_json(), "findings": [finding.to_json() for finding in results]}
        print_json({**answer, "page": None if page is None else str(page)})
        return
    _show(exploration, results)
    show_lines(f"\n  page: {page}")


def _stem(source: Path) -> str:
    """The file's name without its suffixes: "train" for data/train.tsv.gz."""
    return Path(source.resolve().name.removesuffix(".gz")).stem or "data"


def _show(exploration: "Exploration", results: "list[Finding]") -> None:
    show_table("The data", exploration.audit.columns(), exploration.audit.rows())
    baselines = {score_name(name): scores for name, scores in exploration.baselines.items()}
    show_metrics(f"Baselines, measured on {exploration.data.measured}", baselines)
    show_lines("\nWhat to fix first")
    for finding in results:
        # Not a table: its cells would break a finding into lines of half the width.
        show_lines(printable(f"  {finding.level:<7}{finding.title}"))
        if finding.level != "ok":
            show_lines(printable(f"         {finding.detail}"))
