"""The page kit in a real browser: what people click, type and see."""

import pytest
from support.browser import browser  # noqa: F401  a fixture
from support.hostile import HOSTILE

from bert_serving.html import charts
from bert_serving.html.page import Page, Section
from bert_serving.html.parts import (
    Bars,
    Chart,
    Column,
    Facts,
    Matrix,
    Paragraph,
    Pieces,
    SortableTable,
    Verdict,
    Verdicts,
)

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("ignore::ResourceWarning")]

LABELS = ("praise", "blame", "مدح")


@pytest.fixture(scope="module")
def page_path(tmp_path_factory: pytest.TempPathFactory):
    """A page with every part, full of hostile text."""
    rows = [(number, LABELS[number % 3], number / 7 if number else None, f"text {number:02d}") for number in range(60)]
    rows += [(60 + number, "praise", 0.5, text) for number, text in enumerate(HOSTILE)]
    columns = [Column("row", "number"), Column("label", "label"), Column("loss", "bar"), Column("text")]
    small = SortableTable([Column("text")], [(text,) for text in HOSTILE], caption="Rows", filterable=False)
    counts = [[5, 2, 0], [1, 4, 0], [0, 0, 3]]
    cells = {(row, column): small for row in range(3) for column in range(3) if counts[row][column]}
    bars = charts.stacked_bars([(label, "train", 5, 0.3) for label in LABELS], order=LABELS, groups=["train"])
    points = charts.scatter(
        [(number, number % 7, LABELS[number % 3], HOSTILE[0]) for number in range(4000)], labels=LABELS
    )
    sections = (
        Section("Figures", (Facts([("rows", "68")]), Paragraph(HOSTILE[1]), Bars([("majority", 0.5, "0.5")]))),
        Section("Verdicts", (Verdicts([Verdict("fix", HOSTILE[0], "Look.", small), Verdict("ok", "fine")]),)),
        Section("Table", (SortableTable(columns, rows, caption="All rows"),)),
        Section("Matrix", (Matrix(LABELS, counts, "true label", "predicted label", cells),)),
        Section("Pieces", (Pieces([("un", None), ("##do", -0.5), (HOSTILE[0], 0.7)]),)),
        Section("Charts", (Chart(bars, "Share of each label"), Chart(points, "Texts in two dimensions"))),
    )
    path = tmp_path_factory.mktemp("pages") / "page & <kit>.html"
    return Page("Kit", HOSTILE[0], sections).write(path)


@pytest.fixture
def page(browser, page_path):  # noqa: F811
    browser.open(page_path)
    yield browser
    assert browser.console() == []
    assert browser.driver.title == "Kit"  # hostile text would have changed it


TABLE = "#section-3 .table"
FIRST = f"{TABLE} tbody tr:first-child"


def column(page, number: int) -> list[str]:
    return page.texts(f"{TABLE} tbody tr td:nth-child({number})")


def test_the_page_paints_quickly_and_hostile_text_is_text(page):
    assert page.first_paint() < 3
    assert page.find(".subtitle").text == HOSTILE[0]
    assert page.find("#section-1 p").text == HOSTILE[1]


class TestATable:
    def test_sorts_by_click_one_way_then_the_other_then_back(self, page):
        head = f"{TABLE} th:nth-child(1)"
        seen = []
        for _ in range(3):
            page.click(f"{head} button")
            seen.append((page.find(head).get_attribute("aria-sort"), column(page, 1)[0]))
        assert seen == [("descending", "67"), ("ascending", "0"), ("none", "0")]

    def test_sorts_by_keyboard_and_puts_missing_values_last(self, page):
        page.press(f"{TABLE} th:nth-child(3) button", "\ue007")
        page.press(f"{TABLE} th:nth-child(3) button", " ")
        assert page.find(f"{TABLE} th:nth-child(3)").get_attribute("aria-sort") == "ascending"
        assert column(page, 3)[0] == "0.1429"
        while page.find(f"{TABLE} .turn button:last-child").is_enabled():
            page.click(f"{TABLE} .turn button:last-child")
        assert column(page, 1)[-1] == "0"

    def test_filters_as_one_types(self, page):
        page.find(f"{TABLE} input").send_keys("TEXT blame")
        assert page.find(f"{TABLE} .count").text == "20 of 68 rows"
        page.find(f"{TABLE} input").send_keys(" 58")
        assert column(page, 4) == ["text 58"]

    def test_filters_by_a_label(self, page):
        page.press(f"{TABLE} select", "مدح")
        assert set(column(page, 2)) == {"مدح"}
        assert page.find(f"{TABLE} .count").text == "20 of 68 rows"

    def test_says_when_no_row_fits(self, page):
        page.find(f"{TABLE} input").send_keys("nowhere to be found")
        assert page.texts(f"{TABLE} tbody td") == ["no matching rows"]

    def test_turns_its_pages(self, page):
        assert page.find(f"{TABLE} .turn .count").text == "page 1 of 3"
        page.click(f"{TABLE} .turn button:last-child")
        assert column(page, 1)[0] == "25"
        page.press(f"{TABLE} .turn button:first-child", "\ue007")
        assert column(page, 1)[0] == "0"

    def test_shows_hostile_text_as_text(self, page):
        page.find(f"{TABLE} input").send_keys("owned")
        assert column(page, 4) == list(HOSTILE[:2])


class TestAVerdict:
    rows = "#section-2 tbody tr"

    def test_opens_by_click(self, page):
        assert not page.all(self.rows)
        page.click("#section-2 summary")
        assert len(page.all(self.rows)) == len(HOSTILE)

    def test_opens_and_closes_by_keyboard(self, page):
        page.press("#section-2 summary", "\ue007")
        page.wait(f"return document.querySelectorAll('{self.rows}').length > 0")
        assert page.find(self.rows).is_displayed()
        page.press("#section-2 summary", "\ue007")
        assert not page.find(self.rows).is_displayed()


class TestAMatrix:
    opened = "#section-4 .opened"

    def test_opens_the_rows_of_a_cell_by_click_and_closes_them(self, page):
        page.click("button[data-opens='0-1']")
        assert page.find(f"{self.opened} h3").text == "true label praise, predicted label blame: 2 rows, 29% of the row"
        assert len(page.all(f"{self.opened} tbody tr")) == len(HOSTILE)
        assert page.find("button[data-opens='0-1']").get_attribute("aria-expanded") == "true"
        page.click("button[data-opens='0-1']")
        assert page.find(self.opened).text == ""

    def test_opens_the_rows_of_a_cell_by_keyboard(self, page):
        page.press("button[data-opens='0-0']", "\ue015", "\ue014")  # down, right
        page.driver.switch_to.active_element.send_keys("\ue007")
        assert page.find(f"{self.opened} h3").text.startswith("true label blame, predicted label blame: 4 rows")
        page.driver.switch_to.active_element.send_keys("\ue00c")  # escape
        assert page.find(self.opened).text == ""

    def test_shows_one_cell_at_a_time(self, page):
        page.click("button[data-opens='0-1']")
        page.click("button[data-opens='2-2']")
        assert len(page.all(f"{self.opened} .table")) == 1
        assert len(page.all("#section-4 button[aria-expanded='true']")) == 1


class TestAChart:
    def test_is_drawn_with_its_description(self, page):
        plots = page.all("figure.chart .plot")
        assert [plot.get_attribute("aria-label") for plot in plots] == [
            "Share of each label",
            "Texts in two dimensions",
        ]
        assert len(plots[0].find_elements("css selector", "svg path[aria-roledescription='bar']")) == len(LABELS)

    def test_of_many_points_is_drawn_on_a_canvas(self, page):
        canvas = page.find("#section-6 figure:nth-of-type(2) canvas")
        assert canvas.size["width"] > 600
        colors = page.driver.execute_script(
            "const c = arguments[0];"
            "return new Set(c.getContext('2d').getImageData(0, 0, c.width, c.height).data.filter((_, i) => i % 4 == 0)).size",
            canvas,
        )
        assert colors > 3


class TestLightAndDark:
    script = "return getComputedStyle(document.body).backgroundColor"

    def test_follow_the_system(self, page, page_path):
        light = page.driver.execute_script(self.script)
        page.open(page_path, dark=True)
        assert (light, page.driver.execute_script(self.script)) == ("rgb(255, 255, 255)", "rgb(21, 23, 28)")

    def test_follow_the_button_and_redraw_charts(self, page):
        before = page.find("figure.chart svg text").get_attribute("fill")
        page.click("#theme")
        page.wait("return document.querySelector('figure.chart').dataset.state === 'drawn'")
        assert page.driver.execute_script(self.script) == "rgb(21, 23, 28)"
        assert page.find("figure.chart svg text").get_attribute("fill") != before

    def test_give_different_pictures(self, page, page_path, tmp_path):
        light = page.screenshot(tmp_path / "light.png").read_bytes()
        page.open(page_path, dark=True)
        dark = page.screenshot(tmp_path / "dark.png").read_bytes()
        assert light != dark
        assert min(len(light), len(dark)) > 50_000


def test_a_narrow_window_never_scrolls_sideways(page):
    page.driver.set_window_size(500, 900)
    try:
        width = "return document.documentElement.scrollWidth <= document.documentElement.clientWidth"
        page.wait(width)
    finally:
        page.driver.set_window_size(1280, 900)


def test_printing_opens_what_is_folded(page):
    page.driver.execute_script("dispatchEvent(new Event('beforeprint'))")
    assert page.find("#section-2 details").get_attribute("open") is not None
    assert len(page.all("#section-2 tbody tr")) == len(HOSTILE)
    page.driver.execute_script("dispatchEvent(new Event('afterprint'))")
    assert page.find("#section-2 details").get_attribute("open") is None
