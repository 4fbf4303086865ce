import importlib.util
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from jinja2 import Environment
from markupsafe import Markup
from support.hostile import HOSTILE

from bert_serving import extras
from bert_serving.errors import InputError
from bert_serving.html import charts, curves
from bert_serving.html.page import Page, Section, writable
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
from bert_serving.wording import shortened


def page(*parts, title="Title") -> Page:
    return Page(title, "subtitle", (Section("Section", parts, "Lead."),))


def chart() -> Chart:
    return Chart(charts.histogram([charts.Bin(0, 1, 5), charts.Bin(1, 2, 7)], value="words"), "words of a text")


def elements(html: str) -> list[tuple[str, list]]:
    """Every element with its attributes."""

    class Parser(HTMLParser):
        def __init__(self):
            super().__init__()
            self.found = []

        def handle_starttag(self, tag, attrs):
            self.found.append((tag, attrs))

    parser = Parser()
    parser.feed(html)
    return parser.found


def data_of(html: str) -> list:
    """Every JSON script as the browser finds it: the element ends at the first "</script"."""
    return [json.loads(text) for text in re.findall(r'<script type="application/json">(.*?)</script', html, re.S)]


class TestAPage:
    def test_stands_alone_and_asks_nothing_of_a_network(self):
        html = page(chart(), SortableTable([Column("text")], [("good",)])).render()
        addresses = [value for _, pairs in elements(html) for name, value in pairs if name in ("src", "href")]
        assert addresses == ["data:,", "#content", "#section-1"]
        policy = {value for _, pairs in elements(html) for name, value in pairs if "default-src" in str(value)}
        assert [part.split()[0] for part in policy.pop().split("; ")] == [
            "default-src",
            "style-src",
            "script-src",
            "img-src",
        ]
        assert "@import" not in html

    def test_lists_its_sections_in_order(self):
        html = Page("t", "s", (Section("First", ()), Section("Second", ()))).render()
        assert re.findall(r'<a href="#(section-\d)">(\w+)</a>', html) == [
            ("section-1", "First"),
            ("section-2", "Second"),
        ]
        assert re.findall(r'<section id="(section-\d)"', html) == ["section-1", "section-2"]

    def test_carries_the_chart_library_once_and_only_where_it_is_needed(self):
        without, one, two = (page(*[chart()] * number).render() for number in (0, 1, 2))
        assert "vegaEmbed = " not in without
        assert len(without) < 50_000
        assert 0 < len(two) - len(one) < 5_000

    @pytest.mark.parametrize("text", HOSTILE)
    def test_shows_hostile_text_as_text(self, text):
        parts = (
            Paragraph(text),
            Facts([(text, text)]),
            Verdicts([Verdict("fix", text, text, SortableTable([Column(text)], [(text,)], caption=text))]),
            Pieces([(text, 0.5), (text, None)]),
            Matrix([text], [[1]], text, text, {(0, 0): SortableTable([Column(text)], [(text,)])}),
            Bars([(text, 0.5, text)]),
        )
        html = Page(text, text, (Section(text, parts, text),)).render()
        clean = Page("x", "x", (Section("x", _harmless(parts), "x"),)).render()
        names = [[(tag, [name for name, _ in pairs]) for tag, pairs in elements(each)] for each in (html, clean)]
        assert names[0] == names[1]
        found = [value for value in data_of(html) if value["columns"][0]["title"] == text]
        assert [value["rows"] for value in found] == [[[text]], [[text]]]

    def test_of_25_000_reviews_stays_below_eight_megabytes(self, tmp_path):
        review = "It was a film. " * 100
        rows = [(number, "pos", 0.5, shortened(review, 200)) for number in range(25_000)]
        table = SortableTable(
            [Column("row", "number"), Column("label", "label"), Column("loss", "number"), Column("text")], rows
        )
        assert page(table, chart()).write(tmp_path / "page.html").stat().st_size < 8_000_000


def _harmless(parts):
    def clean(value):
        if isinstance(value, str):
            return value if value in ("fix", "text") else "x"
        if isinstance(value, list | tuple):
            return type(value)(map(clean, value))
        if isinstance(value, dict):
            return {key: clean(each) for key, each in value.items()}
        if hasattr(value, "__dataclass_fields__"):
            return type(value)(**{name: clean(getattr(value, name)) for name in value.__dataclass_fields__})
        return value

    return clean(parts)


class TestWriting:
    def test_replaces_the_old_page_and_leaves_nothing_else(self, tmp_path):
        path = tmp_path / "page.html"
        path.write_text("old")
        assert page(Paragraph("new")).write(path) == path
        assert "<p>new</p>" in path.read_text("utf-8")
        assert list(tmp_path.iterdir()) == [path]

    def test_keeps_the_old_page_when_a_part_cannot_be_shown(self, tmp_path):
        path = tmp_path / "page.html"
        path.write_text("old")
        with pytest.raises(TypeError, match="a page cannot hold a object"):
            page(SortableTable([Column("text")], [(object(),)])).write(path)
        assert path.read_text() == "old"
        assert list(tmp_path.iterdir()) == [path]

    @pytest.mark.parametrize(
        ("name", "reason"),
        [
            ("", "is a folder"),
            ("missing/page.html", "there is no folder"),
            ("file/page.html", "there is no folder"),
            ("x" * 300, "File name too long"),
            ("/proc/page.html", "cannot write the page"),
        ],
    )
    def test_says_in_one_line_why_a_path_will_not_do(self, tmp_path, name, reason):
        (tmp_path / "file").write_text("")
        with pytest.raises(InputError, match=reason) as caught:
            page().write(tmp_path / name)
        assert "\n" not in str(caught.value)
        assert [path.name for path in tmp_path.iterdir()] == ["file"]

    def test_can_be_asked_for_before_the_work(self, tmp_path):
        assert writable(tmp_path / "page.html") == tmp_path / "page.html"
        assert not list(tmp_path.iterdir())


class TestTables:
    def test_hold_numbers_of_numpy_and_leave_out_what_json_cannot_hold(self):
        row = (np.int64(3), np.float32(0.25), float("nan"), np.float64("inf"), None, True, np.bool_(False))
        (found,) = data_of(SortableTable([Column(str(i)) for i in range(7)], [row]).html())
        assert found["rows"] == [[3, 0.25, None, None, None, True, False]]

    def test_cut_numbers_to_what_can_be_looked_at(self):
        (found,) = data_of(SortableTable([Column("a", "number")], [(1 / 3,), (123456.789,), (25000,)]).html())
        assert found["rows"] == [[0.33333], [123456.789], [25000]]

    def test_hold_pieces_with_their_weights(self):
        (found,) = data_of(SortableTable([Column("pieces")], [(Pieces([("un", None), ("##do", -0.5)]),)]).html())
        assert found["rows"] == [[{"pieces": [["un", None], ["##do", -0.5]]}]]


class TestPieces:
    def test_of_one_word_stand_together(self):
        html = Pieces([("un", None), ("##do", None), ("it", None), ("##", None)]).html()
        words = [re.sub("<.*?>", " ", word).split() for word in html.split('<span class="word">')[1:]]
        assert words == [["un", "##do"], ["it"], ["##"]]

    def test_show_the_sign_of_a_weight_by_more_than_color(self):
        html = Pieces([("good", 2.0), ("bad", -0.25), ("film", 0.0), ("odd", float("nan"))]).html()
        assert re.findall(r'class="piece(?: (\w+))?"(?: style="--weight:([\d.]+)" title="([^"]+)")?', html) == [
            ("for", "1.000", "+2.000"),
            ("against", "0.250", "-0.250"),
            ("", "", ""),
            ("", "", ""),
        ]


class TestAMatrix:
    def test_gives_a_button_only_to_cells_with_rows(self):
        cells = {(0, 1): SortableTable([Column("text")], [("bad film",)])}
        html = Matrix(("good", "bad"), np.array([[5, 1], [0, 4]]), "true label", "predicted label", cells).html()
        assert re.findall(r'data-opens="(\d-\d)">(\d)<', html) == [("0-1", "1")]
        assert 'aria-label="true label good, predicted label bad: 1 row, 17% of the row"' in html
        assert re.findall(r'class="(correct|incorrect)" style="--share:([\d.]+)"', html) == [
            ("correct", "0.913"),
            ("incorrect", "0.408"),
            ("incorrect", "0.000"),
            ("correct", "1.000"),
        ]


class TestBars:
    @pytest.mark.parametrize(("share", "width"), [(0.3521, "35.21"), (-1, "0.00"), (7, "100.00")])
    def test_stay_within_their_track(self, share, width):
        assert f"width:{width}%" in Bars([("majority", share, "0.352")]).html()


class TestCharts:
    @pytest.mark.parametrize(
        "spec",
        [
            charts.stacked_bars([("a", "train", 3, 0.3)], order=["a"], groups=["train"]),
            charts.box_plot([charts.Box("a", 1, 2, 3, 4, 5, 9)], order=["a"], value="words", limit=4),
            charts.histogram([charts.Bin(0, 1, 5), charts.Bin(1, 2, 5)], value="words"),
            charts.reliability({"before": [charts.ReliabilityPoint(0.5, 0.4, 0.3, 0.6, 10)]}),
            charts.scatter([(0.0, 1.0, "a", "text")] * 6000, labels=["a", "b"]),
        ],
    )
    def test_are_valid_for_vega(self, spec):
        import vl_convert

        (found,) = data_of(Chart(spec, "a chart").html())
        assert vl_convert.vegalite_to_svg(found | {"width": 300}).startswith("<svg")

    def test_color_a_class_the_same_on_every_page(self):
        assert charts.class_scale(["a", "b"]).range == list(charts.CLASS_COLORS[:2])
        assert len(charts.class_scale([str(number) for number in range(77)]).range) == 77


class TestWithoutTheExtra:
    def test_the_missing_packages_and_the_remedy_are_named(self):
        code = (
            "import importlib.util, sys; real = importlib.util.find_spec\n"
            "importlib.util.find_spec = lambda name, *rest: None if name == 'altair' else real(name, *rest)\n"
            "import bert_serving.html.page"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert done.stderr.splitlines()[-1] == (
            "bert_serving.errors.InputError: pages need altair, jinja2, vl_convert; missing: altair; "
            "pip install 'bert-serving[report]'"
        )

    def test_nothing_is_said_when_all_is_there(self):
        assert extras.require("pages", ["json"], "report") is None
        assert importlib.util.find_spec("altair")


def test_the_templates_travel_with_the_package():
    folder = Path(charts.__file__).parent / "templates"
    assert sorted(path.name for path in folder.iterdir()) == ["page.css", "page.html", "page.js"]
    Environment(autoescape=True).parse((folder / "page.html").read_text("utf-8"))
    assert isinstance(Paragraph("x").html(), Markup)


@pytest.mark.parametrize(("bests", "is_marked"), [([None, None], False), ([0.25, None], True)])
def test_a_best_threshold_is_marked_where_there_is_one(bests, is_marked):
    line = np.array([0.0, 0.5, 1.0])
    chart = curves.precision_and_recall([(str(number), line, line, line, best) for number, best in enumerate(bests)])
    assert ("mean_best" in json.dumps(vega_of(chart))) is is_marked


def vega_of(chart):
    """The chart as the browser gets it."""
    import vl_convert

    return vl_convert.vegalite_to_vega(chart.to_dict())
