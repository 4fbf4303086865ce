"""The page of `bert-serving map`: features of labeled texts, and logistic regression on them."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from bert_serving.contract import Pooling
from bert_serving.data.table import LabeledTable
from bert_serving.evaluation.page.rows import confusion_matrix
from bert_serving.features.map import FeatureMap
from bert_serving.features.method import Method
from bert_serving.features.projection import DENSITY_BINS, UMAP_NEIGHBORS
from bert_serving.html import charts
from bert_serving.html.page import Page, Section
from bert_serving.html.parts import Chart, Facts, Field, Paragraph, table_of
from bert_serving.wording import shortened, shown_of

POINT_CHARACTERS = (160, 120, 80, 40)
"""of a text in a point's tooltip: the most that `POINT_BYTES` allow"""
POINT_BYTES = 3_000_000
"""of all texts in tooltips"""
CELL_CHARACTERS = 200
CELL_ROWS, ALL_CELL_ROWS = 100, 1_500
"""rows of one cell of the confusion matrix, and of all cells together"""
MOST_CELLS = 500
"""cells of the confusion matrix that open, those with the most rows"""
MOST_PANELS = 24

_POOLINGS = {
    Pooling.POOLER: "the encoder's pooled output",
    Pooling.MAX: "the maximum of the last layer over the tokens (max pooling)",
    Pooling.CLS: "the last layer at [CLS]",
    Pooling.MEAN: "the mean of the last layer over the tokens (mean pooling)",
}


@dataclass(frozen=True)
class MapNames:
    """Names that the page uses.

    Attributes:
        encoder: the source of the features.
        drawn: the rows that are points, such as a file's name.
        measured: the rows on which the logistic regression was measured.
        pooling: how the encoder's outputs became one vector.
    """

    encoder: str
    drawn: str
    measured: str
    pooling: Pooling


def map_page(feature_map: FeatureMap, names: MapNames) -> Page:
    """Lays a map out."""
    return Page(
        title="Feature map",
        subtitle=f"{names.encoder} on {names.drawn}: {_drawn(feature_map)}",
        sections=(
            _points(feature_map),
            _densities(feature_map),
            _regression(feature_map, names),
            _confusion(feature_map),
            _methods(feature_map, names),
        ),
    )


def _drawn(feature_map: FeatureMap) -> str:
    return shown_of(len(feature_map.drawn), feature_map.candidates, "row")


# === Points ===


def _points(feature_map: FeatureMap) -> Section:
    lead = (
        "Each point is a text; nearby points have similar features. The tooltip shows the text. Click a label in the legend to "
        "show that label alone; scroll and drag to zoom and move, double-click to reset."
    )
    # Points drawn later lie on top: in the order of the file one label could hide another.
    order = np.random.default_rng(0).permutation(len(feature_map.drawn))
    texts = _point_texts(feature_map.drawn)
    points = [
        (round(float(x), 4), round(float(y), 4), str(feature_map.drawn.labels[row]), texts[row])
        for row, (x, y) in zip(order.tolist(), feature_map.projection.points[order], strict=True)
    ]
    chart = charts.scatter(points, labels=feature_map.labels)
    parts = (
        Chart(chart, f"{len(points):,} texts as points, colored by label"),
        Paragraph(f"Shown: {_drawn(feature_map)}."),
    )
    return Section("Points", parts, lead)


def _point_texts(table: LabeledTable) -> list[str]:
    """As much of each text as the page can hold."""
    texts: list[str] = []
    for characters in POINT_CHARACTERS:
        texts = [_text(table, row, characters) for row in range(len(table))]
        # In the page's JSON each of <, > and & takes six bytes.
        if sum(len(text.encode()) + 5 * sum(map(text.count, "<>&")) for text in texts) <= POINT_BYTES:
            break
    return texts


def _densities(feature_map: FeatureMap) -> Section:
    counts = Counter(feature_map.classes.tolist())
    shown = [number for number, _ in counts.most_common(MOST_PANELS)]
    lead = "The density of each label's points. Labels whose points overlap are hard to tell apart by these features alone."
    names = [feature_map.labels[number] for number in shown]
    cells = _cells(feature_map, shown)
    chart = charts.density_panels(cells, labels=feature_map.labels, shown=names, step=1 / DENSITY_BINS)
    parts: list[Chart | Paragraph] = [Chart(chart, f"Density of the points of {len(shown)} labels, a panel for each")]
    if len(counts) > len(shown):
        parts.append(Paragraph(f"Shown: the {len(shown)} most frequent of {len(counts)} labels."))
    return Section("Density by label", tuple(parts), lead)


def _cells(feature_map: FeatureMap, shown: list[int]) -> list[charts.DensityCell]:
    shares = feature_map.densities()
    counts = Counter(feature_map.classes.tolist())
    cells = []
    for number in shown:
        greatest = shares[number].max()
        for column, row in np.argwhere(shares[number]).tolist():
            share = float(shares[number, column, row])
            # The square root makes sparse cells visible.
            strength = round(float(np.sqrt(share / greatest)), 3)
            corner = round(column / DENSITY_BINS, 4), round(row / DENSITY_BINS, 4)
            cells.append(
                charts.DensityCell(feature_map.labels[number], *corner, round(share * counts[number]), strength)
            )
    return cells


# === Logistic regression ===


def _regression(feature_map: FeatureMap, names: MapNames) -> Section:
    regression, majority = feature_map.metrics["logistic regression"], feature_map.metrics["majority"]
    facts = Facts(
        [
            ("accuracy", f"{regression['accuracy']:.4f}"),
            ("accuracy of the majority label", f"{majority['accuracy']:.4f}"),
            ("macro F1", f"{regression['macro_f1']:.4f}"),
            ("training rows", f"{feature_map.training_rows:,}"),
            ("test rows", f"{len(feature_map.regression):,}"),
        ]
    )
    per_class = regression["per_class"]
    fields: list[Field[str]] = [
        ("label", "label", lambda label: label),
        ("rows", "number", lambda label: int(per_class[label]["support"])),
        ("precision", "percent", lambda label: per_class[label]["precision"]),
        ("recall", "percent", lambda label: per_class[label]["recall"]),
        ("F1", "percent", lambda label: per_class[label]["f1"]),
    ]
    lead = (
        f"Logistic regression on the frozen features, measured on {names.measured}, against always predicting the most "
        "frequent label. The higher above that baseline, the better these features separate the labels."
    )
    return Section("Logistic regression", (facts, table_of(per_class, fields, "Scores by label")), lead)


def _confusion(feature_map: FeatureMap) -> Section:
    predictions = feature_map.regression
    fields: list[Field[int]] = [
        ("text", "text", lambda row: _text(predictions.table, row, CELL_CHARACTERS)),
        ("true label", "label", predictions.true_label),
        ("predicted label", "label", predictions.predicted_label),
        ("confidence", "percent", lambda row: float(predictions.confidence[row])),
    ]
    matrix = confusion_matrix(
        predictions,
        np.asarray(feature_map.metrics["logistic regression"]["confusion_matrix"]),
        fields,
        cell_rows=CELL_ROWS,
        all_cell_rows=ALL_CELL_ROWS,
        most_cells=MOST_CELLS,
    )
    lead = "Predictions of the logistic regression. Click a cell, or press Enter on it, to see its texts."
    return Section("Confusion matrix", (matrix,), lead)


# === Methods ===


def _methods(feature_map: FeatureMap, names: MapNames) -> Section:
    projection = feature_map.projection
    if projection.method is Method.UMAP:
        method = (
            f"Points are the features projected by UMAP ({UMAP_NEIGHBORS} neighbors, cosine distance). Neighbors stay "
            "close; distances between groups and the sizes of groups mean little."
        )
    else:
        method = (
            f"Points are the first two principal components (PCA) of the features, which keep {projection.explained or 0:.1%} "
            "of their variance: points that coincide here may be far apart in the other dimensions."
        )
    features = (
        f"A feature vector has {feature_map.width:,} numbers: {_POOLINGS[names.pooling]}. The encoder's weights are frozen. The "
        "logistic regression uses the complete standardized vectors, not the points."
    )
    return Section("Methods", (Paragraph(features), Paragraph(method)))


def _text(table: LabeledTable, row: int, characters: int) -> str:
    text: str = table.texts[row] if table.pairs is None else f"{table.texts[row]} ‖ {table.pairs[row]}"
    return shortened(text, characters)
