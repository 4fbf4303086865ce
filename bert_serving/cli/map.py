"""`bert-serving map`: an encoder's features of labeled texts in two dimensions, as a page."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bert_serving import contract
from bert_serving.cli.display import ConsoleObserver, console, print_json, show_classes, show_metrics
from bert_serving.contract import Head, Pooling
from bert_serving.errors import InputError
from bert_serving.features.projection import Method

if TYPE_CHECKING:
    from bert_serving.config import DataConfig, RunConfig
    from bert_serving.data.splits import Splits
    from bert_serving.features.frozen import FrozenEncoder
    from bert_serving.features.map import FeatureMap
    from bert_serving.features.page import MapNames
    from bert_serving.observer import Observer

PAGE = "map.html"
_SEQUENCE_LENGTH = 128
_TEST_SHARE = 0.2


@dataclass(frozen=True)
class _Rows:
    """Which rows to read.

    Attributes:
        data: where they are; with the run's own seed for the run's own rows.
        seed: of the division.
        drawn: names of the splits that become points.
        names: what to call the drawn and the measured rows.
    """

    data: "DataConfig"
    seed: int
    drawn: tuple[str, ...]
    names: tuple[str, str]


def map_features(
    source: Annotated[
        str,
        typer.Argument(help="Run folder, encoder folder, or a name of `encoders list`.", metavar="RUN|ENCODER"),
    ],
    data: Annotated[
        list[Path] | None,
        typer.Option(help="Labeled text. Repeatable.", show_default="the run's own, without its training rows"),
    ] = None,
    test: Annotated[
        list[Path] | None,
        typer.Option(help="Rows to measure the logistic regression on. Repeatable.", show_default="20% of --data"),
    ] = None,
    pooling: Annotated[
        Pooling | None,
        typer.Option(help="How the encoder's outputs become one vector.", show_default="the run's own, else mean"),
    ] = None,
    method: Annotated[
        Method, typer.Option(help="How vectors become points; auto: UMAP where it is installed.")
    ] = Method.AUTO,
    rows: Annotated[int | None, typer.Option(min=2, help="Use at most so many rows of each split.")] = None,
    sequence_length: Annotated[
        int | None, typer.Option(min=4, help="Cut texts at so many tokens.", show_default="the run's own, else 128")
    ] = None,
    text: Annotated[
        str | None, typer.Option(help="Name of the text column.", show_default="the run's own, else text")
    ] = None,
    text_pair: Annotated[
        str | None, typer.Option(help="Name of the second text column, for pairs.", show_default="the run's own")
    ] = None,
    label: Annotated[
        str | None, typer.Option(help="Name of the label column.", show_default="the run's own, else label")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Fixes the projection and which rows are drawn.")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="Page to write.", show_default="map.html in the run folder, else here")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the scores as JSON; a page is written with --out only.")
    ] = False,
) -> None:
    """Look at what an encoder makes of labeled texts, before any head."""
    from bert_serving.extras import require
    from bert_serving.observer import Observer

    require("maps", ("altair", "jinja2", "vl_convert"), "report")
    from bert_serving.html.page import writable

    is_run = (Path(source) / contract.RUN_FILE).is_file()
    if method is Method.UMAP:
        require("maps by UMAP", ("umap",), "map")
    page = None if as_json and out is None else writable(out or (Path(source) / PAGE if is_run else Path(PAGE)))
    config = _config(source) if is_run else None
    wanted = _rows(source, config, data or [], test or [], seed)
    columns = {"text": text, "text_pair": text_pair, "label": label}
    described = wanted.data.model_copy(update={name: value for name, value in columns.items() if value is not None})
    observer = Observer() if as_json else ConsoleObserver()
    with observer.stage("Reading the data"):
        from bert_serving.data.splits import resolve_labels

        splits = _splits(described, wanted.seed, rows)
        labels = resolve_labels(splits, described, Head.SOFTMAX)
    with observer.stage("Loading the encoder"):
        frozen = _frozen(source, config, sequence_length, observer)
    from bert_serving.features.map import MapOptions, make_feature_map
    from bert_serving.features.page import MapNames, map_page

    options = MapOptions(pooling or (config.head.pooling if config else Pooling.MEAN), method, seed=seed)
    found = make_feature_map(frozen, splits, labels, options, drawn=wanted.drawn, observer=observer)
    names = MapNames(frozen.name, *wanted.names, options.pooling)
    if page is not None:
        with observer.stage("Writing the page"):
            map_page(found, names).write(page)
    if as_json:
        print_json(_as_json(found, names, page))
        return
    _show(found, names)
    console.print(f"\n  page: {page}", soft_wrap=True, markup=False)


# === What to look at ===


def _config(source: str) -> "RunConfig":
    from bert_serving.training.run_folder import RunFolder

    run = RunFolder(Path(source))
    config = run.config()
    run.check_complete()
    return config


def _rows(source: str, config: "RunConfig | None", data: list[Path], test: list[Path], seed: int) -> _Rows:
    from bert_serving.config import DataConfig

    if config is not None and config.head.kind not in (Head.SOFTMAX, Head.BINARY):
        raise InputError(
            f"{source}: the run has a {config.head.kind} head; a map needs one label for each row, of two or more"
        )
    if not data:
        if config is None:
            raise InputError(f"{source}: an encoder brings no rows of its own; name labeled text with --data")
        if test:
            raise InputError("--test belongs to --data; a run without --data is measured on its own rows")
        own = ("validation", "test") if config.data.test else ("validation",)
        return _Rows(
            config.data, config.training.seed, own, (f"the run's {' and '.join(own)} rows", f"the run's {own[-1]} rows")
        )
    names = {} if config is None else {name: getattr(config.data, name) for name in ("text", "text_pair", "label")}
    described = DataConfig(train=tuple(data), validation=tuple(test), validation_fraction=_TEST_SHARE, **names)
    measured = _shown(test) if test else f"{_TEST_SHARE:.0%} of {_shown(data)}, kept apart"
    return _Rows(described, seed, ("train", "validation"), (_shown([*data, *test]), measured))


def _shown(paths: list[Path]) -> str:
    return ", ".join(path.name for path in paths[:3]) + (" ..." if len(paths) > 3 else "")


def _splits(data: "DataConfig", seed: int, rows: int | None) -> "Splits":
    import numpy as np

    from bert_serving.data.splits import Splits, load_splits

    if rows is None:
        return load_splits(data, Head.SOFTMAX, seed)
    splits = load_splits(data.model_copy(update={"rows": rows}), Head.SOFTMAX, seed)
    random = np.random.default_rng(seed)
    fewer = {
        name: table.select(np.sort(random.choice(len(table), min(rows, len(table)), replace=False)))
        for name, table in splits.named().items()
    }
    return Splits(**fewer)


def _frozen(source: str, config: "RunConfig | None", length: int | None, observer: "Observer") -> "FrozenEncoder":
    from bert_serving.config import EncoderConfig
    from bert_serving.encoders.conversion.run_folder import weights_sha256
    from bert_serving.encoders.loading import load_encoder
    from bert_serving.encoders.lookup import find_encoder_folder
    from bert_serving.features.frozen import FrozenEncoder
    from bert_serving.text.preprocessing import load_preprocessing

    path = Path(source)
    if config is not None:
        from bert_serving.training.loading import load_classifier
        from bert_serving.training.run_folder import RunFolder

        classifier = load_classifier(RunFolder(path))
        name = f"the encoder of {path.resolve().name}"
        length = length or classifier.options.sequence_length
        return FrozenEncoder(name, weights_sha256(path), classifier.encoder, classifier.preprocessing, length)
    described = EncoderConfig(path=path) if path.exists() else EncoderConfig(name=source)
    folder = find_encoder_folder(described, passed_over=observer.note, progress=observer.download)
    encoder = load_encoder(folder, trainable=False)
    length = length or min(_SEQUENCE_LENGTH, encoder.positions or _SEQUENCE_LENGTH)
    return FrozenEncoder(folder.name, folder.sha256, encoder, load_preprocessing(folder.preprocessing), length)


# === Answers ===


def _as_json(found: "FeatureMap", names: "MapNames", page: Path | None) -> dict[str, Any]:
    return {
        "encoder": names.encoder,
        "pooling": str(names.pooling),
        "width": found.width,
        "method": str(found.projection.method),
        "explained_variance": found.projection.explained,
        "points": len(found.drawn),
        "rows": found.candidates,
        "learnt_from": found.training_rows,
        "measured_on": names.measured,
        "metrics": found.metrics,
        "page": None if page is None else str(page),
    }


def _show(found: "FeatureMap", names: "MapNames") -> None:
    metrics = found.metrics
    show_metrics(f"Logistic regression on frozen features ({names.pooling}), measured on {names.measured}", metrics)
    show_classes(metrics["logistic regression"])
    drawn, of = f"{len(found.drawn):,}", f" of {found.candidates:,}" if found.candidates > len(found.drawn) else ""
    console.print(
        f"\n  points: {drawn}{of} rows by {found.projection.method.upper()}",
        soft_wrap=True,
        markup=False,
        highlight=False,
    )
