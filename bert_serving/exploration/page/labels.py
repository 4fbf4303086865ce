"""Sections of the exploration's page: the labels, or the numbers of a regression."""

from collections.abc import Sequence

import numpy as np

from bert_serving.contract import Head
from bert_serving.data.table import LabeledTable
from bert_serving.exploration.explore import TRAIN, Exploration, number_bins
from bert_serving.html import charts
from bert_serving.html.page import Section
from bert_serving.html.parts import Cell, Chart, Column, Field, Paragraph, Part, SortableTable, table_of

MOST_CHARTED = 20
"""with more classes the charts show the largest; the tables show all"""


def labels_section(exploration: Exploration) -> Section:
    """Rows and shares of every label in every split."""
    splits = exploration.audit.splits
    labels = sorted(exploration.data.labels, key=lambda label: -splits[TRAIN].rows_per_class[label])
    columns = [Column("label", "text")]
    for name in splits:
        columns += [Column(f"rows of {name}", "number"), Column("share", "percent")]
    rows: list[list[Cell]] = []
    for label in labels:
        row: list[Cell] = [label]
        for split in splits.values():
            row += [split.rows_per_class[label], split.rows_per_class[label] / split.rows]
        rows.append(row)
    lead = (
        "The splits should have similar shares. A label with few rows is learned badly; a label with many rows dominates "
        "the training."
    )
    if exploration.data.head is Head.MULTILABEL:
        mean = np.mean([len(label) for label in exploration.corpus.labels])
        lead += f" A row has {mean:.2f} labels on average, so that the shares add up to more than 100%."
    table = SortableTable(columns, rows, filterable=len(rows) > 10)
    return Section("Labels", (_labels_chart(exploration, labels), *_charted_note(labels), table), lead)


def _labels_chart(exploration: Exploration, labels: Sequence[str]) -> Chart:
    splits = exploration.audit.splits
    charted = labels[:MOST_CHARTED]
    shares = [
        (label, name, split.rows_per_class[label], split.rows_per_class[label] / split.rows)
        for label in charted
        for name, split in splits.items()
    ]
    numbers = "; ".join(f"{label} {splits[TRAIN].rows_per_class[label]:,}" for label in charted[:10])
    chart = charts.stacked_bars(shares, order=charted, groups=list(splits))
    return Chart(chart, f"Share of the rows of each label, by split. Rows of train: {numbers}")


def _charted_note(labels: Sequence[str]) -> tuple[Part, ...]:
    if len(labels) <= MOST_CHARTED:
        return ()
    return (Paragraph(f"The chart shows the {MOST_CHARTED} largest of {len(labels):,} labels; the table shows all."),)


def numbers_section(exploration: Exploration) -> Section:
    """The distribution of a regression's numbers."""
    tables = exploration.data.tables
    bins = [charts.Bin(*edges_and_count) for edges_and_count in number_bins(tables[TRAIN].labels)]
    chart = Chart(charts.histogram(bins, value="label"), "Histogram of the numbers to predict, rows of train")
    fields: list[Field[tuple[str, LabeledTable]]] = [
        ("split", "text", lambda split: split[0]),
        ("rows", "number", lambda split: len(split[1])),
        ("minimum", "number", lambda split: min(split[1].labels)),
        ("mean", "number", lambda split: float(np.mean(split[1].labels))),
        ("median", "number", lambda split: float(np.median(split[1].labels))),
        ("maximum", "number", lambda split: max(split[1].labels)),
        ("distinct", "number", lambda split: len(set(split[1].labels))),
    ]
    return Section(
        "Numbers to predict",
        (chart, table_of(tables.items(), fields, filterable=False)),
        "The splits should have similar distributions. A range with few rows is learned and measured badly.",
    )
