"""The pages of `map` and `explain` in a real browser: points drawn, the text under the pointer, labels picked, cells opened."""

import numpy as np
import pytest
from selenium.webdriver import ActionChains
from support.browser import browser  # noqa: F401  a fixture

from bert_serving.contract import Pooling
from bert_serving.data.table import LabeledTable
from bert_serving.explanation.integrated_gradients import explain
from bert_serving.explanation.page import explain_page
from bert_serving.features.frozen import classify_features, majority_of
from bert_serving.features.map import MOST_POINTS, FeatureMap
from bert_serving.features.method import Method
from bert_serving.features.page import MapNames, map_page
from bert_serving.features.projection import project

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("ignore::ResourceWarning")]

LABELS = ("anger", "joy", "</script>مدح")
ROWS = 300


def feature_map(rows: int) -> FeatureMap:
    """Three clouds that overlap a little."""
    random = np.random.default_rng(0)
    classes = random.integers(0, 3, rows)
    features = random.normal(size=(rows, 6)) + 3 * np.eye(6)[classes]
    texts = [f"text {number} of <b>{LABELS[place]}</b>" for number, place in enumerate(classes)]
    table = LabeledTable(texts, None, [LABELS[place] for place in classes], "here")
    half = rows // 2
    train, test = ((features[part], table.select(part)) for part in (np.arange(half), np.arange(half, rows)))
    return FeatureMap(
        drawn=table,
        classes=classes,
        projection=project(features, Method.PCA),
        candidates=rows,
        training_rows=half,
        regression=classify_features(train, test, LABELS),
        majority=majority_of(train[1], test[1], LABELS),
        width=6,
    )


NAMES = MapNames("tiny", "rows.tsv", "half of them", Pooling.MEAN)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return map_page(feature_map(ROWS), NAMES).write(tmp_path_factory.mktemp("map") / "map.html")


@pytest.fixture
def page(browser, small):  # noqa: F811
    browser.open(small)
    yield browser
    assert browser.console() == []
    assert browser.all("figure.chart[data-state='failed']") == []


POINTS = "#section-1 .plot svg .mark-symbol.role-mark path"
SCALE = "#section-1 .plot svg"


def test_every_row_is_a_point_and_every_label_has_its_density(page):
    assert len(page.all(POINTS)) == ROWS
    assert page.texts(f"{SCALE} .role-legend-label text") == list(LABELS)
    assert len(page.all("#section-2 .plot svg .role-scope .mark-rect")) >= 3
    headers = page.texts("#section-2 .plot svg .role-column-title text, #section-2 .plot svg .role-title text")
    assert {header for header in headers if header} == set(LABELS)


def test_the_text_is_under_the_pointer(page):
    page.driver.execute_script("document.querySelector('#section-1').scrollIntoView({behavior: 'instant'})")
    point = page.all(POINTS)[ROWS // 2]
    ActionChains(page.driver).move_to_element(point).perform()
    page.wait("return document.querySelector('#vg-tooltip-element.visible')")
    shown = page.find("#vg-tooltip-element").text
    assert "text" in shown
    assert any(f"of <b>{label}</b>" in shown for label in LABELS)


def test_a_click_on_a_label_shows_its_points_alone(page):
    def faint() -> int:
        return sum(float(point.get_attribute("opacity") or 1) < 0.1 for point in page.all(POINTS))

    assert faint() == 0
    page.click(f"{SCALE} .role-legend-symbol path")
    assert faint() == sum(label != LABELS[0] for label in feature_map(ROWS).drawn.labels)


def test_a_cell_of_the_confusion_matrix_opens_its_texts(page):
    button = page.find(".matrix td.incorrect button")
    count = int(button.text)
    page.click(".matrix td.incorrect button")
    rows = page.all(".matrix .opened tbody tr")
    assert len(rows) == count
    assert "of <b>" in rows[0].text


def test_16000_points_are_painted_within_three_seconds(browser, tmp_path):  # noqa: F811
    path = map_page(feature_map(MOST_POINTS), NAMES).write(tmp_path / "map.html")
    assert path.stat().st_size < 8e6
    browser.open(path)
    assert browser.first_paint() < 3
    assert browser.console() == []
    # On a canvas: as many elements would be too many to move.
    assert browser.driver.execute_script("return document.querySelector('#section-1 canvas').width") > 500


def test_light_and_dark_show_the_same_points_on_other_grounds(browser, small, tmp_path):  # noqa: F811
    grounds = []
    for dark in (False, True):
        browser.open(small, dark=dark)
        assert len(browser.all(POINTS)) == ROWS
        grounds.append(browser.driver.execute_script("return getComputedStyle(document.body).backgroundColor"))
        assert browser.screenshot(tmp_path / f"{dark}.png").stat().st_size > 20_000
    assert len(set(grounds)) == 2
    assert browser.console() == []


def test_the_page_of_an_explanation_colors_words_by_direction(browser, trained, tmp_path):  # noqa: F811
    found = explain(trained.classifier, "the good film is <i>bad</i> and very very good", label="praise")
    browser.open(explain_page(found, "tiny").write(tmp_path / "explain.html"))
    assert [text for text in browser.texts("#section-1 > p.pieces .piece") if text] == [
        word.text for word in found.words
    ]
    strongest = browser.find("#section-1 .piece[style*='1.000']")
    assert strongest.text == found.ranking[0].text
    assert ("for" in strongest.get_attribute("class").split()) == (found.ranking[0].attribution > 0)
    assert browser.texts("#section-1 tbody tr:first-child td")[0] == found.ranking[0].text
    assert browser.texts(".bars .name") == sorted(
        found.labels, key=lambda label: -found.probabilities[found.labels.index(label)]
    )
    assert browser.console() == []
