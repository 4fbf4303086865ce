"""The report's page in a real browser: no error, and what people click works."""

import dataclasses

import numpy as np
import pytest
from support.browser import browser  # noqa: F401  a fixture
from support.hostile import HOSTILE
from support.predictions import EVERY_KIND, NAMES, classified

from bert_serving.contract import Head, Scaling
from bert_serving.evaluation.page.names import ReportNames
from bert_serving.evaluation.page.report import report_page
from bert_serving.evaluation.predictions import Predictions
from bert_serving.evaluation.report import TextLengths, make_report

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("ignore::ResourceWarning")]

MOST_BYTES = 8e6
SECONDS_TO_FIRST_PAINT = 3


def place(page, title: str) -> str:
    """Selector of the section with a title."""
    titles = page.texts("main section > h2")
    return f"#section-{titles.index(title) + 1}"


def compared(made: Predictions) -> Predictions:
    values = np.random.default_rng(1).permutation(made.values)
    values[::2] = made.values[::2]
    return dataclasses.replace(made, values=values)


@pytest.fixture(scope="module")
def page_path(tmp_path_factory):
    """A report of hostile texts, labels and names, with a comparison."""
    made = classified(900, classes=6, texts=[f"{HOSTILE[row % len(HOSTILE)]} {row}" for row in range(900)])
    parts = [HOSTILE[row % 2] if row % 3 else "phone" for row in range(900)]
    made = dataclasses.replace(made, table=dataclasses.replace(made.table, columns={HOSTILE[1]: parts}))
    report = make_report(made, lengths=TextLengths(np.arange(900) % 200, 128), other=compared(made))
    path = tmp_path_factory.mktemp("report") / "report.html"
    return report_page(report, ReportNames(HOSTILE[0], HOSTILE[1], other="second", scaling=Scaling(1.25))).write(path)


@pytest.fixture(params=[False, True], ids=["light", "dark"])
def page(request, browser, page_path):  # noqa: F811
    browser.open(page_path, dark=request.param)
    yield browser
    assert browser.console() == []
    assert browser.driver.title == "Evaluation report"  # hostile text would have changed it


def test_the_page_paints_quickly_and_draws_its_charts(page):
    assert page.first_paint() < SECONDS_TO_FIRST_PAINT
    assert {figure.get_attribute("data-state") for figure in page.all("figure.chart")} == {"drawn"}
    assert len(page.all("figure.chart")) == 3


def test_a_cell_of_the_matrix_opens_its_texts_by_click_and_by_key(page):
    matrix = f"{place(page, 'Confusion matrix')} .matrix"
    for act in (lambda cell: page.click(cell), lambda cell: page.press(cell, "\ue007")):
        cell = f'{matrix} button[data-opens="2-3"]'
        count = int(page.find(cell).text.replace(",", ""))
        act(cell)
        assert page.find(cell).get_attribute("aria-expanded") == "true"
        rows = page.all(f"{matrix} .opened tbody tr")
        assert 0 < len(rows) == min(count, 25)
        assert {row.find_elements("css selector", "td")[2].text for row in rows} == {NAMES[2]}
        act(cell)
        assert not page.all(f"{matrix} .opened tbody tr")


def test_a_finding_opens_its_rows(page):
    findings = place(page, "Findings")
    assert len(page.all(f"{findings} details")) >= 3
    page.click(f"{findings} details:has(.table) summary")
    page.wait(f"return document.querySelectorAll('{findings} details[open] tbody tr').length > 0")


def test_rows_by_loss_are_sorted_and_filtered(page):
    section = place(page, "Rows by loss")
    rows = f"{section} .table:first-of-type"
    before = [cell.text for cell in page.all(f"{rows} tbody td:first-child")]
    page.click(f"{rows} th:first-child button")
    assert page.find(f"{rows} th:first-child").get_attribute("aria-sort") == "descending"
    after = [int(cell.text) for cell in page.all(f"{rows} tbody td:first-child")]
    assert after == sorted(after, reverse=True) != list(map(int, before))
    page.find(f"{rows} input[type=search]").send_keys("fish")
    page.wait(f"return document.querySelector({f'{rows} .tools'!r}).textContent.includes(' of 500')")
    assert all("fish" in text for text in page.texts(f"{rows} tbody td:nth-child(2)"))


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_every_head_has_a_page_without_errors(kind, browser, tmp_path):  # noqa: F811
    made = EVERY_KIND[kind]
    path = report_page(make_report(made, other=compared(made)), ReportNames("first", "rows.tsv", other="second")).write(
        tmp_path / "page.html"
    )
    browser.open(path)
    assert {figure.get_attribute("data-state") for figure in browser.all("figure.chart")} == {"drawn"}
    assert browser.console() == []


def test_25000_real_reviews_make_a_small_page_that_paints_quickly(shared_data, browser, tmp_path):  # noqa: F811
    """The answers are made up, the texts, labels and sizes are real."""
    from bert_serving.config import DataConfig
    from bert_serving.data.table import read_table

    path = shared_data / "imdb" / "test.tsv.gz"
    rows = read_table([path], DataConfig(train=(path,)), Head.SOFTMAX)
    labels = tuple(sorted(set(rows.labels)))
    random = np.random.default_rng(0)
    signs = np.asarray([1 if label == labels[1] else -1 for label in rows.labels])
    positive = 1 / (1 + np.exp(-(2 * signs + random.normal(size=len(rows)) * 1.5)))
    made = Predictions(Head.SOFTMAX, labels, rows, np.stack([1 - positive, positive], axis=1))
    page = report_page(make_report(made, other=compared(made)), ReportNames("first", "imdb", other="second")).write(
        tmp_path / "imdb.html"
    )
    assert len(rows) == 25_000
    assert page.stat().st_size < MOST_BYTES
    browser.open(page)
    assert browser.first_paint() < SECONDS_TO_FIRST_PAINT
    assert browser.console() == []
