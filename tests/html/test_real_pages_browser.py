"""The pages of map, report and explain on real data, by the commands, opened in a real browser.

Those of explore are in test_exploration_page.py. The features are a real encoder's; the classifiers are the quickest that there
are, a head on it that saw a few hundred rows: it is the pages that are looked at, not the scores.
"""

from pathlib import Path

import pytest
from support.browser import browser  # noqa: F401  a fixture

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("ignore::ResourceWarning")]

MOST_BYTES = 8e6
SECONDS_TO_FIRST_PAINT = 3
ROWS = 600
CLASSES = {"emotion": 6, "imdb": 2, "waimai_10k": 2}
ENGLISH, CHINESE = "i feel like a wonderful film is not all that bad", "送餐很慢，不过味道还可以"


def sort_and_filter(page, table: str) -> None:
    """Sorts the first column both ways and filters until nothing fits."""
    head = f"{table} thead th:first-child"
    seen = []
    for _ in range(2):
        page.click(f"{head} button")
        seen.append((page.find(head).get_attribute("aria-sort"), page.texts(f"{table} tbody td:first-child")))
    assert {direction for direction, _ in seen} == {"ascending", "descending"}
    assert seen[0][1] != seen[1][1]
    page.find(f"{table} input[type=search]").send_keys("zzzzzz")
    assert page.texts(f"{table} tbody td") == ["no matching rows"]


def open_each_cell(page, classes: int) -> None:
    """Opens the cells of a confusion matrix one after another."""
    cells = page.all(".matrix td button[data-opens]")
    assert classes <= len(cells) <= classes**2
    for cell in cells[: 2 * classes]:
        count = int(cell.text.replace(",", ""))
        page.driver.execute_script("arguments[0].click()", cell)
        assert len(page.all(".matrix .opened tbody tr")) == min(count, 25)


@pytest.fixture(scope="module", params=CLASSES)
def name(request, shared_data) -> str:
    return request.param


@pytest.fixture(scope="module")
def run(name, shared_data, minilm_folder, tmp_path_factory) -> Path:
    """A run that learnt a head alone, from a few rows."""
    from bert_serving.config import load_run_file
    from bert_serving.training.run import train

    folder = tmp_path_factory.mktemp(name)
    (training_rows,) = (shared_data / name).glob("train.tsv*")
    lines = [
        f'data = {{train = "{training_rows}", max_train_rows = {ROWS}}}',
        f'encoder = {{path = "{minilm_folder}", trainable = false, sequence_length = 32}}',
        "training = {epochs = 1, batch_size = 32}",
    ]
    (folder / "run.toml").write_text("\n".join(lines) + "\n", "utf-8")
    return train(load_run_file(folder / "run.toml"), folder / "run").run.path


@pytest.fixture
def rows(name, shared_data, tmp_path) -> Path:
    """Test rows as they are in the file, with a column to slice by."""
    from bert_serving.config import DataConfig
    from bert_serving.contract import Head
    from bert_serving.data.table import read_table

    (path,) = (shared_data / name).glob("test.tsv*")
    table = read_table([path], DataConfig(train=(path,)), Head.SOFTMAX)
    chosen = range(0, len(table), len(table) // ROWS)
    lines = [f"{table.texts[row]}\t{table.labels[row]}\tpart {row % 3}" for row in chosen]
    target = tmp_path / "rows.tsv"
    target.write_text("\n".join(["text\tlabel\tpart", *lines]) + "\n", "utf-8")
    return target


def opened(page, path: Path, charts: int):
    """The page in dark and in light, without an error."""
    assert path.stat().st_size < MOST_BYTES
    for dark in (True, False):
        page.open(path, dark=dark)
        assert page.first_paint() < SECONDS_TO_FIRST_PAINT
        assert [figure.get_attribute("data-state") for figure in page.all("figure.chart")] == ["drawn"] * charts
        assert page.screenshot(path.with_suffix(f".{dark}.png")).stat().st_size > 30_000
    return page


def test_a_map(name, minilm_folder, rows, bert_serving, browser, tmp_path):  # noqa: F811
    assert bert_serving("map", minilm_folder, "--data", rows, "--sequence-length", 32).status == 0
    page = opened(browser, tmp_path / "map.html", charts=2)
    assert len(page.all("#section-1 .plot svg .mark-symbol.role-mark path")) >= ROWS
    sort_and_filter(page, "#section-3 .table")
    open_each_cell(page, CLASSES[name])
    assert page.console() == []


def test_a_report(name, run, rows, bert_serving, browser, tmp_path):  # noqa: F811
    ended = bert_serving("report", run, "--data", rows, "--slice", "part", "--out", "report.html")
    assert (ended.status, ended.err) == (0, "")
    page = opened(browser, tmp_path / "report.html", charts=3)
    titles = page.texts("main section > h2")
    for title in ("Rows by loss", "Slices"):
        sort_and_filter(page, f"#section-{titles.index(title) + 1} .table:first-of-type")
    open_each_cell(page, CLASSES[name])
    page.click("details:has(.table) summary")
    page.wait("return document.querySelectorAll('details[open] tbody tr').length > 0")
    assert page.console() == []


def test_an_explanation(name, run, bert_serving, browser, tmp_path):  # noqa: F811
    text = CHINESE if name == "waimai_10k" else ENGLISH
    ended = bert_serving("explain", run, text, "--page", "explain.html", "--png", "explain.png")
    assert (ended.status, ended.err) == (0, "")
    page = opened(browser, tmp_path / "explain.html", charts=0)
    assert "".join(page.texts("[id^=section-] > p.pieces .piece")) == text.replace(" ", "")
    assert len(page.all(".bars li")) == CLASSES[name]
    assert (tmp_path / "explain.png").stat().st_size > 5_000
    assert page.console() == []
