"""The page of `bert-serving map`: an encoder's features of labeled texts, and how well a straight line parts them."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from bert_serving.contract import Pooling
from bert_serving.data.table import LabeledTable
from bert_serving.evaluation.predictions import Predictions
from bert_serving.features.map import FeatureMap
from bert_serving.features.projection import DENSITY_BINS, UMAP_NEIGHBOURS, Method
from bert_serving.html import charts
from bert_serving.html.page import Page, Section
from bert_serving.html.parts import Cell, Chart, Column, Facts, Matrix, Paragraph, Table, shortened

POINT_CHARACTERS = (160, 120, 80, 40)
"""of a text under the pointer: as many of these as `POINT_BYTES` allow"""
POINT_BYTES = 3_000_000
"""of all texts under the pointer"""
CELL_CHARACTERS = 200
CELL_ROWS, ALL_CELL_ROWS = 100, 1_500
"""rows of one cell of the confusion matrix, and of all cells together"""
MOST_CELLS = 500
"""cells of the confusion matrix that open, those with the most rows"""
MOST_PANELS = 24

_POOLINGS = {
    Pooling.POOLER: "the encoder's pooled output",
    Pooling.MAX: "the maximum of the last layer over the text's tokens",
    Pooling.CLS: "the last layer at [CLS]",
    Pooling.MEAN: "the mean of the last layer over the text's tokens",
}


@dataclass(frozen=True)
class Names:
    """How the page calls things.

    Attributes:
        encoder: where the features come from.
        drawn: the rows that are points, such as a file's name.
        measured: the rows on which the logistic regression was measured.
        pooling: how the encoder's outputs became one vector.
    """

    encoder: str
    drawn: str
    measured: str
    pooling: Pooling


def map_page(found: FeatureMap, names: Names) -> Page:
    """Lays a map out."""
    return Page(
        title="Map of features",
        subtitle=f"{names.encoder} on {names.drawn}: {_of(len(found.drawn), found.candidates)}",
        sections=(
            _points(found),
            _densities(found),
            _regression(found, names),
            _confusion(found),
            _method(found, names),
        ),
    )


# === Points ===


def _points(found: FeatureMap) -> Section:
    lead = (
        "Each point is a text; near points have like features. The text is under the pointer, a click on a label in the legend "
        "shows that label alone, wheel and drag zoom and move, a double click goes back."
    )
    # Points drawn later lie on top: in the order of the file one label could hide another.
    order = np.random.default_rng(0).permutation(len(found.drawn))
    texts = _point_texts(found.drawn)
    points = [
        (round(float(x), 4), round(float(y), 4), str(found.drawn.labels[row]), texts[row])
        for row, (x, y) in zip(order.tolist(), found.projection.points[order], strict=True)
    ]
    chart = Chart(
        charts.scatter(points, labels=found.labels), f"{len(points):,} texts as points, colored by their label"
    )
    drawn = _of(len(found.drawn), found.candidates)
    return Section("Points", (chart, Paragraph(f"Drawn: {drawn}.")), lead)


def _point_texts(table: LabeledTable) -> list[str]:
    """As much of each text as the page can hold."""
    texts: list[str] = []
    for characters in POINT_CHARACTERS:
        texts = [_text(table, row, characters) for row in range(len(table))]
        # In the page's JSON each of <, > and & takes six bytes.
        if sum(len(text.encode()) + 5 * sum(map(text.count, "<>&")) for text in texts) <= POINT_BYTES:
            break
    return texts


def _densities(found: FeatureMap) -> Section:
    counts = Counter(found.classes.tolist())
    shown = [place for place, _ in counts.most_common(MOST_PANELS)]
    lead = (
        "Where each label lies, strongest in color where it is densest. Labels that lie in one place are hard to tell apart from these "
        "features alone."
    )
    cells = _cells(found, shown)
    names = [found.labels[place] for place in shown]
    chart = charts.density_panels(cells, labels=found.labels, shown=names, step=1 / DENSITY_BINS)
    parts: list[Chart | Paragraph] = [Chart(chart, f"Density of the points of {len(shown)} labels, a picture for each")]
    if len(counts) > len(shown):
        parts.append(Paragraph(f"Drawn: the {len(shown)} commonest labels of {len(counts)}."))
    return Section("Density of each label", tuple(parts), lead)


def _cells(found: FeatureMap, shown: list[int]) -> list[charts.DensityCell]:
    shares = found.densities()
    counts = Counter(found.classes.tolist())
    cells = []
    for place in shown:
        greatest = shares[place].max()
        for column, row in np.argwhere(shares[place]).tolist():
            share = float(shares[place, column, row])
            # A square root lets the thin edge of a cloud show.
            strength = round(float(np.sqrt(share / greatest)), 3)
            corner = round(column / DENSITY_BINS, 4), round(row / DENSITY_BINS, 4)
            cells.append(charts.DensityCell(found.labels[place], *corner, round(share * counts[place]), strength))
    return cells


# === Logistic regression ===


def _regression(found: FeatureMap, names: Names) -> Section:
    metrics = found.metrics
    regression, majority = metrics["logistic regression"], metrics["majority"]
    facts = Facts(
        [
            ("accuracy", f"{regression['accuracy']:.4f}"),
            ("majority", f"{majority['accuracy']:.4f}"),
            ("macro F1", f"{regression['macro_f1']:.4f}"),
            ("rows learnt from", f"{found.learnt:,}"),
            ("rows measured on", f"{len(found.regression):,}"),
        ]
    )
    columns = [
        Column("label", "label"),
        Column("rows", "number"),
        Column("precision", "percent"),
        Column("recall", "percent"),
        Column("F1", "percent"),
    ]
    rows: list[list[Cell]] = [
        [label, int(each["support"]), each["precision"], each["recall"], each["f1"]]
        for label, each in regression["per_class"].items()
    ]
    lead = (
        f"Logistic regression on the same features, measured on {names.measured}; majority is the score of the commonest label "
        "for every row. What lies between is how well these features part the labels."
    )
    return Section("Logistic regression", (facts, Table(columns, rows, caption="Each label")), lead)


def _confusion(found: FeatureMap) -> Section:
    predictions = found.regression
    counts = np.asarray(found.metrics["logistic regression"]["confusion_matrix"])
    largest = np.argsort(-counts, axis=None, kind="stable")[:MOST_CELLS]
    filled = [divmod(place, len(counts)) for place in largest.tolist() if counts.flat[place]]
    most = min(CELL_ROWS, max(ALL_CELL_ROWS // max(len(filled), 1), 1))
    order = np.argsort(-predictions.losses, kind="stable")
    cells = {
        (true, answer): _rows_table(
            predictions, order[(predictions.y_true[order] == true) & (predictions.y_pred[order] == answer)], most
        )
        for true, answer in filled
    }
    matrix = Matrix(predictions.labels, counts.tolist(), "label", "answer of the logistic regression", cells)
    lead = "Which labels the features confuse. A cell opens its texts, by click or with the Enter key."
    return Section("Confusion matrix", (matrix,), lead)


def _rows_table(predictions: Predictions, rows: np.ndarray, most: int) -> Table:
    columns = [Column("text"), Column("label", "label"), Column("answer", "label"), Column("confidence", "percent")]
    body: list[list[Cell]] = [
        [
            _text(predictions.table, row, CELL_CHARACTERS),
            predictions.true_name(row),
            predictions.predicted_name(row),
            float(predictions.confidence[row]),
        ]
        for row in rows[:most].tolist()
    ]
    return Table(columns, body, caption=f"{_of(len(body), len(rows))}, highest loss first")


# === How it was made ===


def _method(found: FeatureMap, names: Names) -> Section:
    projection = found.projection
    if projection.method is Method.UMAP:
        method = (
            f"Points are the features projected by UMAP ({UMAP_NEIGHBOURS} neighbors, cosine distance): near neighbors stay near, "
            "while the distance between groups and their size mean little."
        )
    else:
        method = (
            f"Points are the features' first two principal components, which keep {projection.explained or 0:.1%} of their variance: what "
            "lies on one spot here may lie far apart in the other dimensions."
        )
    features = (
        f"A feature vector has {found.width:,} numbers: {_POOLINGS[names.pooling]}. The encoder learns nothing more for this "
        "page. The logistic regression sees the whole standardized vectors, not the points."
    )
    return Section("How it was made", (Paragraph(features), Paragraph(method)))


def _text(table: LabeledTable, row: int, characters: int) -> str:
    text = table.texts[row] if table.pairs is None else f"{table.texts[row]} ‖ {table.pairs[row]}"
    return shortened(text, characters)


def _of(shown: int, total: int) -> str:
    noun = "row" if total == 1 else "rows"
    return f"{total:,} {noun}" if shown == total else f"{shown:,} of {total:,} {noun}"
