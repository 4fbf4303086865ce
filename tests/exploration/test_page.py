"""The page of explore in a real browser, on made-up and on real data."""

import re
import time

import pytest
from support.browser import browser  # noqa: F401  a fixture

from bert_serving.config import DataConfig
from bert_serving.contract import Head
from bert_serving.data.splits import Splits, load_splits, resolve_labels
from bert_serving.data.table import LabeledTable
from bert_serving.encoders.conversion.hugging_face import convert_hugging_face
from bert_serving.exploration.explore import ExplorationInput, explore
from bert_serving.exploration.findings import findings
from bert_serving.exploration.page.exploration import ExplorationNames, exploration_page
from bert_serving.text.preprocessing import load_preprocessing

HOSTILE = "</script><script>document.title='owned'</script> & مرحبا"
MOST_BYTES = 8_000_000
MOST_SECONDS = 3
"""to the first paint"""


def made_up(head: Head) -> ExplorationInput:
    """A table with every kind of fault, among them hostile texts and labels."""
    texts = [f"{('good film', 'bad wheel')[number % 2]} {number} the bike is very" for number in range(40)]
    texts += [f"bad {'wheel ' * 40}", HOSTILE, HOSTILE, ""]
    names = [("praise", HOSTILE)[number % 2] for number in range(len(texts))]
    labels = {
        Head.SOFTMAX: names,
        Head.MULTILABEL: [(name, "all") for name in names],
        Head.REGRESSION: [number / 7 for number in range(len(texts))],
    }[head]
    known = {Head.SOFTMAX: tuple(sorted(set(names))), Head.MULTILABEL: tuple(sorted({*names, "all"}))}.get(head, ())
    table = LabeledTable(texts, None, labels, "a.tsv")
    return ExplorationInput(
        {"train": table, "test": table.select(range(0, 44, 2))}, Splits(table, table, table), known, head, 16
    )


def rendered(material: ExplorationInput, preprocessing, name: str = HOSTILE):
    seen = explore(material, lambda: preprocessing)
    return exploration_page(seen, findings(seen), ExplorationNames(name, "tiny"))


@pytest.fixture(scope="module")
def tiny(encoder_folder):
    return load_preprocessing(encoder_folder / "preprocessing")


@pytest.mark.parametrize("head", [Head.SOFTMAX, Head.MULTILABEL, Head.REGRESSION])
def test_every_head_gives_a_page_with_the_same_sections(head, tiny):
    titles = [section.title for section in rendered(made_up(head), tiny).sections]
    labels = "Numbers to predict" if head is Head.REGRESSION else "Labels"
    rest = ["Lengths", "Tokens", "Typical words", "Duplicates and leaks", "Baselines"]
    assert titles == ["What to fix first", labels, *rest]


def test_many_labels_are_all_in_the_table_and_the_largest_in_the_chart(tiny):
    texts = [f"good film {number}" for number in range(150)]
    table = LabeledTable(texts, None, [f"label {number % 50:02d}" for number in range(150)], "a.tsv")
    material = ExplorationInput(
        {"train": table}, Splits(table, table), tuple(sorted(set(table.labels))), Head.SOFTMAX, 16
    )
    _, labels, lengths, *_ = rendered(material, tiny).sections
    assert labels.parts[1].text == "The chart shows the 20 largest of 50 labels; the table shows all."
    assert len(labels.parts[2].rows) == 50
    assert len(lengths.parts[-1].rows) == 51


@pytest.mark.browser
@pytest.mark.parametrize("head", [Head.SOFTMAX, Head.REGRESSION])
@pytest.mark.parametrize("dark", [False, True])
def test_a_page_full_of_faults_works_in_a_browser(head, dark, tiny, browser, tmp_path):  # noqa: F811
    _check(browser, rendered(made_up(head), tiny).write(tmp_path / "page.html"), dark=dark)
    assert browser.find("h1").text == f"{HOSTILE} before training"


@pytest.fixture(scope="module")
def minilm(minilm_folder, tmp_path_factory):
    """The real encoder's tokenizer."""
    target = tmp_path_factory.mktemp("minilm") / "encoder"
    convert_hugging_face(minilm_folder, target)
    return load_preprocessing(target / "preprocessing")


@pytest.mark.browser
@pytest.mark.parametrize("name", ["emotion", "waimai_10k", pytest.param("imdb", marks=pytest.mark.slow)])
def test_the_page_of_real_data_is_small_quick_and_without_errors(name, shared_data, minilm, browser, tmp_path):  # noqa: F811
    files = {
        split: tuple(sorted((shared_data / name).glob(f"{split}.tsv*"))) for split in ("train", "validation", "test")
    }
    data = DataConfig(**files)
    splits = load_splits(data, Head.SOFTMAX, 0)
    material = ExplorationInput(splits.named(), splits, resolve_labels(splits, data, Head.SOFTMAX), Head.SOFTMAX, 128)
    path = rendered(material, minilm, name).write(tmp_path / "page.html")
    assert path.stat().st_size < MOST_BYTES
    for dark in (False, True):
        _check(browser, path, dark=dark)


def _check(browser, path, *, dark):  # noqa: F811
    browser.open(path, dark=dark)
    assert browser.first_paint() < MOST_SECONDS
    assert [figure.get_attribute("data-state") for figure in browser.all("figure.chart")] == ["drawn"] * 3
    browser.click(".verdicts summary")
    browser.wait("return document.querySelector('.verdicts details[open] tbody tr') !== null")
    table = "#section-4 .table:nth-of-type(3)"
    browser.click(f"{table} th:nth-child(1) button")
    assert browser.find(f"{table} th:nth-child(1)").get_attribute("aria-sort") == "ascending"
    started = time.monotonic()
    browser.find("#section-5 .table:nth-of-type(2) input").send_keys("zzzzzz")
    assert re.fullmatch(r"0 of [\d,]+ rows?", browser.find("#section-5 .table:nth-of-type(2) .count").text)
    assert time.monotonic() - started < MOST_SECONDS
    assert browser.screenshot(path.with_suffix(".png")).stat().st_size > 50_000
    assert browser.console() == []
