"""`bert-serving map`: an encoder's features of labeled texts as points in two dimensions."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bert_serving.cli.options import RunLabelColumn, RunTextColumn, RunTextPairColumn, label_columns
from bert_serving.console import command_observer, print_json, show_classes, show_lines, show_metrics, show_reading
from bert_serving.contract import Head, Pooling
from bert_serving.features.method import Method

if TYPE_CHECKING:
    from bert_serving.features.map import FeatureMap
    from bert_serving.features.page import MapNames

PAGE = "map.html"


def map_features(
    source: Annotated[
        str,
        typer.Argument(help="Run folder, encoder folder, or a name in `encoders list`.", metavar="RUN|ENCODER"),
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
        Method, typer.Option(help="How vectors become points; auto: UMAP if it is installed, else PCA.")
    ] = Method.AUTO,
    rows: Annotated[
        int | None, typer.Option(min=2, help="Largest number of rows of each split.", show_default="all")
    ] = None,
    sequence_length: Annotated[
        int | None,
        typer.Option(
            min=4, help="Number of tokens at which texts are truncated.", show_default="the run's own, else 128"
        ),
    ] = None,
    text: RunTextColumn = None,
    text_pair: RunTextPairColumn = None,
    label: RunLabelColumn = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the projection and of the choice of rows.")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="Page to write.", show_default="map.html in the run folder, else here")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the scores as JSON; a page is written only with --out.")
    ] = False,
) -> None:
    """Map an encoder's features of labeled texts, and measure a logistic regression on them."""
    from bert_serving.extras import require

    require("maps", ("altair", "jinja2", "vl_convert"), "report")
    if method is Method.UMAP:
        require("maps by UMAP", ("umap",), "map")
    from bert_serving.features.rows import map_rows
    from bert_serving.html.page import writable
    from bert_serving.model.model import is_run_folder
    from bert_serving.training.run_folder import RunFolder

    run = RunFolder(Path(source)) if is_run_folder(source) else None
    page = None if as_json and out is None else writable(out or (run.path / PAGE if run else Path(PAGE)))
    config = None if run is None else run.config()
    if run is not None:
        run.check_complete()
    columns = {"text": text, "text_pair": text_pair, "label": label and label_columns(label)}
    selected = map_rows(source, config, data or [], test or [], columns, seed)
    observer = command_observer(as_json=as_json)
    with observer.stage("Reading the data"):
        from bert_serving.data.splits import resolve_labels

        splits = selected.load(rows)
        labels = resolve_labels(splits, selected.data, Head.SOFTMAX)
    for table in splits.named().values():
        show_reading(table.reading)
    with observer.stage("Loading the encoder"):
        from bert_serving.training.frozen_encoder import frozen_encoder, frozen_run_encoder

        frozen = (
            frozen_encoder(source, sequence_length, observer=observer)
            if run is None
            else frozen_run_encoder(run, sequence_length)
        )
    from bert_serving.encoders.default_pooling import with_pooling
    from bert_serving.features.map import MapOptions, make_feature_map
    from bert_serving.features.page import MapNames, map_page

    options = MapOptions(
        pooling or (with_pooling(config).head.pooling if config else None) or Pooling.MEAN, method, seed=seed
    )
    feature_map = make_feature_map(frozen, splits, labels, options, drawn=selected.drawn, observer=observer)
    names = MapNames(frozen.name, selected.drawn_name, selected.measured_name, options.pooling)
    if page is not None:
        with observer.stage("Writing the page"):
            map_page(feature_map, names).write(page)
    if as_json:
        print_json(_as_json(feature_map, names, page))
        return
    _show(feature_map, names)
    show_lines(f"\n  page: {page}")


def _as_json(feature_map: "FeatureMap", names: "MapNames", page: Path | None) -> dict[str, Any]:
    return {
        "encoder": names.encoder,
        "pooling": str(names.pooling),
        "width": feature_map.width,
        "method": str(feature_map.projection.method),
        "explained_variance": feature_map.projection.explained,
        "points": len(feature_map.drawn),
        "rows": feature_map.candidates,
        "learnt_from": feature_map.training_rows,
        "measured_on": names.measured,
        "metrics": feature_map.metrics,
        "page": None if page is None else str(page),
    }


def _show(feature_map: "FeatureMap", names: "MapNames") -> None:
    metrics = feature_map.metrics
    show_metrics(f"Logistic regression on frozen features ({names.pooling}), measured on {names.measured}", metrics)
    show_classes(metrics["logistic regression"])
    drawn, rows = len(feature_map.drawn), feature_map.candidates
    of_all = f" of {rows:,}" if rows > drawn else ""
    show_lines(f"\n  points: {drawn:,}{of_all} rows by {feature_map.projection.method.upper()}")
