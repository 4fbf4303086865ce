"""The report's page: what stands on it, for every kind of head, and how large it gets."""

import dataclasses
import json
import re

import numpy as np
import pytest
from support.cases import slow_but
from support.hostile import HOSTILE
from support.predictions import EVERY_KIND, NAMES, classified, measured, table

from bert_serving.contract import Head, Scaling
from bert_serving.evaluation.page import report as module
from bert_serving.evaluation.page.names import ReportNames
from bert_serving.evaluation.page.report import report_page
from bert_serving.evaluation.page.rows import TEXT_CHARACTERS
from bert_serving.evaluation.predictions import Predictions
from bert_serving.evaluation.report import TextLengths, make_report
from bert_serving.html.parts import Matrix, SortableTable, Verdicts

NAMED = ReportNames("runs/first", "test.tsv")
ALWAYS = ["Findings", "Scores", "Slices", "Methods"]
LABEL_ERRORS = "Label errors (confident learning)"
SECTIONS = {
    "softmax": ["Confusion matrix", "Rows by loss", LABEL_ERRORS, "Calibration", "Thresholds"],
    "binary": ["Confusion matrix", "Rows by loss", LABEL_ERRORS, "Calibration", "Thresholds"],
    "multilabel": ["Rows by loss", LABEL_ERRORS, "Calibration", "Thresholds"],
    "regression": ["Predicted against true values", "Largest and smallest errors"],
}


def titles(page) -> list[str]:
    return [section.title for section in page.sections]


def part(page, title: str, kind: type, place: int = 0):
    (section,) = [section for section in page.sections if section.title == title]
    return [part for part in section.parts if isinstance(part, kind)][place]


def verdicts(page) -> list[tuple[str, str]]:
    return [(item.level, item.title) for item in part(page, "Findings", Verdicts).items]


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_every_head_has_its_sections_and_renders(kind):
    page = report_page(make_report(EVERY_KIND[kind]), NAMED)
    assert sorted(titles(page)) == sorted(ALWAYS + SECTIONS[kind])
    document = page.render()
    assert page.subtitle == f"runs/first on test.tsv, {len(EVERY_KIND[kind]):,} rows"
    assert page.subtitle in document
    assert "nan" not in re.findall(r"\w+", document.split("<main")[1].split("</main>")[0].lower())


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_a_comparison_has_its_section_and_its_verdict(kind):
    made = EVERY_KIND[kind]
    values = np.random.default_rng(0).permutation(made.values)
    page = report_page(
        make_report(made, other=dataclasses.replace(made, values=values)),
        dataclasses.replace(NAMED, other="runs/second"),
    )
    assert "Comparison" in titles(page)
    assert ("check", "runs/second is significantly worse") in verdicts(page)
    assert page.subtitle.endswith("compared with runs/second")
    page.render()


def test_cells_of_the_matrix_hold_their_rows_highest_loss_first():
    made = classified(400)
    matrix = part(report_page(make_report(made), NAMED), "Confusion matrix", Matrix)
    for (true, predicted), rows in matrix.cells.items():
        numbers = [row[0] - 1 for row in rows.rows]
        assert set(made.y_true[numbers]) == {true}
        assert set(made.y_pred[numbers]) == {predicted}
        assert (np.diff(made.losses[numbers]) <= 0).all()
        assert len(numbers) == min(matrix.counts[true][predicted], module.CELL_ROWS)


def test_the_lists_hold_the_highest_and_the_lowest_losses():
    made = classified(1_000)
    page = report_page(make_report(made), NAMED)
    order = np.argsort(-made.losses, kind="stable") + 1
    highest, lowest = (part(page, "Rows by loss", SortableTable, place) for place in (0, 1))
    assert [row[0] for row in highest.rows] == order[: module.MOST_LOSSES].tolist()
    assert [row[0] for row in lowest.rows] == order[::-1][: module.LEAST_LOSSES].tolist()
    assert highest.caption == "500 of 1,000 rows, highest first"


def test_pairs_show_both_texts():
    made = classified(60, texts=[f"first {row}" for row in range(60)], pairs=[f"second {row}" for row in range(60)])
    rows = part(report_page(make_report(made), NAMED), "Rows by loss", SortableTable)
    assert [column.title for column in rows.columns][:3] == ["row", "text", "second text"]
    number = rows.rows[0][0] - 1
    assert rows.rows[0][1:3] == [f"first {number}", f"second {number}"]


def test_rows_tell_the_window_that_decided():
    made = classified(60)
    windows = np.stack([np.arange(60) % 3, 1 + np.arange(60) % 3], axis=1)
    page = report_page(make_report(dataclasses.replace(made, windows=windows)), NAMED)
    rows = part(page, "Rows by loss", SortableTable)
    assert rows.columns[-1].title == "window that decided"
    told = {row[0] - 1: row[-1] for row in rows.rows}
    assert [told[number] for number in (0, 1, 2)] == ["", "2 of 2", "3 of 3"]
    assert "window that decided" not in report_page(make_report(made), NAMED).render()


def test_a_long_text_is_cut_with_its_length_stated():
    made = classified(60, texts=["word " * 1_000] * 60)
    text = part(report_page(make_report(made), NAMED), "Rows by loss", SortableTable).rows[0][1]
    assert len(text) < TEXT_CHARACTERS + 40
    assert text.endswith("(5,000 characters)")


def test_verdicts_name_every_problem():
    made = classified(1_000, texts=["short"] * 900 + ["a much longer text"] * 100)
    values = made.values.copy()
    values[900:] = np.roll(values[900:], 1, axis=1)
    made = dataclasses.replace(made, labels=(*made.labels, "nobody"), values=np.c_[values, np.zeros(1_000)])
    names = dataclasses.replace(NAMED, notes=("these are the rows that the model was trained on",))
    found = verdicts(report_page(make_report(made), names))
    assert found[0] == ("fix", "these are the rows that the model was trained on")
    assert any(level == "check" and title.startswith("Slice words = 4: ") for level, title in found)
    assert ("check", "1 label without rows: nobody") in found
    assert any(title.startswith("Probabilities are poorly calibrated") for _, title in found)
    assert any(title.endswith("may be wrong") for _, title in found)


def test_verdicts_confirm_what_is_good():
    values = np.where(np.arange(1_000)[:, np.newaxis] % 2 == [0, 1], 0.999, 0.001)
    made = Predictions(Head.SOFTMAX, NAMES[:2], table([NAMES[row % 2] for row in range(1_000)]), values)
    assert verdicts(report_page(make_report(made), NAMED)) == [
        ("ok", "No slice scores significantly lower than the rest"),
        ("ok", "Probabilities are well calibrated: expected calibration error 0.1%"),
        ("ok", "No probable label errors"),
    ]


@pytest.mark.parametrize(
    ("scaling", "advice"),
    [
        (None, "bert-serving calibrate"),
        (Scaling(), "bert-serving calibrate"),
        (Scaling(1.7), "The temperature 1.700, fitted on other rows, does not suit these."),
        (Scaling(5.0, 1.8), "The temperature 5.000, exponent 1.800, fitted"),
    ],
)
def test_the_advice_on_calibration_knows_the_scaling(scaling, advice):
    made = classified(1_000)
    made = dataclasses.replace(made, values=made.values**4 / (made.values**4).sum(axis=1, keepdims=True))
    page = report_page(make_report(made), dataclasses.replace(NAMED, scaling=scaling))
    (verdict,) = [item for item in part(page, "Findings", Verdicts).items if "Probabilities" in item.title]
    assert "overconfident" in verdict.title
    assert advice in verdict.detail


def test_hostile_texts_labels_and_columns_stay_text():
    made = classified(80, texts=HOSTILE * 10)
    labels = {name: f"{hostile}{name}" for name, hostile in zip(made.labels, HOSTILE, strict=False)}
    rows = dataclasses.replace(
        made.table, labels=[labels[name] for name in made.table.labels], columns={HOSTILE[0]: (HOSTILE[:2] * 40)}
    )
    made = dataclasses.replace(made, labels=tuple(labels.values()), table=rows)
    document = report_page(make_report(made), ReportNames(HOSTILE[0], HOSTILE[1])).render()
    assert "<script>document" not in document
    assert "<img src=x" not in document
    for block in re.findall(r'<script type="application/json">(.*?)</script>', document, re.DOTALL):
        json.loads(block)


@pytest.mark.slow
@pytest.mark.parametrize("classes", slow_but([2, 77], kept=[77]))
def test_a_page_of_25000_long_reviews_is_small(classes, tmp_path):
    random = np.random.default_rng(0)
    y_true = random.integers(0, classes, 25_000)
    logits = random.normal(size=(25_000, classes))
    logits[np.arange(25_000), y_true] += 3
    values = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = [f"label_with_a_long_name_{number}" for number in range(classes)]
    texts = [f"review number {row}, über alles sehr gut " * 40 for row in range(25_000)]
    columns = {"month": [f"month {row % 12}" for row in range(25_000)]}
    made = Predictions(
        Head.SOFTMAX, tuple(labels), table([labels[label] for label in y_true], texts, **columns), values
    )
    other = dataclasses.replace(made, values=np.roll(values, 1, axis=0))
    report = make_report(made, lengths=TextLengths(np.arange(25_000) % 500, 128), other=other)
    path = report_page(report, dataclasses.replace(NAMED, other="other")).write(tmp_path / "page.html")
    assert path.stat().st_size < 8e6


@pytest.mark.parametrize("made", [classified(300, sure=0.0), measured(40, error=100.0)], ids=["labels", "numbers"])
def test_a_model_that_is_no_better_than_chance_is_told_first(made):
    page = report_page(make_report(made), dataclasses.replace(NAMED, notes=("another problem",)))
    (level, first), *others = verdicts(page)
    assert level == "fix"
    assert "he model is no better than chance: " in first
    assert ("fix", "another problem") in others
    assert not any("label error" in title.lower() for title in [*titles(page), *(title for _, title in others)])
    html = page.render()
    assert "no better than chance" in html
