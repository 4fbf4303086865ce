"""The web page in a real browser: typing, choosing, calls to copy, files, keyboard, dark and light."""

import csv
import io
import json
import subprocess
import sys
import time

import pytest
from support import serving_models
from support.browser import browser  # noqa: F401  a fixture
from support.paths import ROOT

from bert_serving.model_server.config.options import ModelConfig, ServerOptions, VersionPolicy
from bert_serving.model_server.server import ServerThread

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("ignore::ResourceWarning")]

HOSTILE = "<img src=x onerror=\"document.title='broken'\">"
CLASSES = ("länger", "<b>kurz</b>")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    base = tmp_path_factory.mktemp("models")
    for version in ("1", "2"):
        serving_models.write_texts(base / "texts" / version)
        (base / "texts" / version / "assets" / "labels.txt").write_text(
            "".join(f"{name}\n" for name in CLASSES), "utf-8"
        )
    (base / "texts" / "3").mkdir()
    serving_models.write_arithmetic(base / "<i>numbers" / "1")
    serving_models.write_windows(base / "windows" / "1")
    return base


@pytest.fixture(scope="module")
def server(base):
    texts = ModelConfig("texts", base / "texts", VersionPolicy(latest=None), labels={"stable": 1})
    others = [ModelConfig(name, base / name) for name in ("<i>numbers", "windows")]
    with ServerThread(ServerOptions(models=[texts, *others])) as running:
        yield running


@pytest.fixture
def page(browser, server):  # noqa: F811
    browser.visit(server.rest_url + "/")
    browser.wait("return document.getElementById('signature').value !== ''")
    yield browser
    assert browser.console() == []
    assert browser.driver.title == "bert-serving"  # hostile text would have changed it


def choose(page, which, text):
    from selenium.webdriver.support.ui import Select

    Select(page.find(f"#{which}")).select_by_visible_text(text)


def type_texts(page, text, *, into="#text"):
    page.find(into).send_keys(text)


def wait_for_predictions(page, number):
    page.wait(
        f"return document.querySelectorAll('.prediction').length === {number} && !document.querySelector('.outdated')"
    )


def status(page):
    return page.find("#status").text


class TestTexts:
    def test_are_answered_while_one_types_with_a_bar_for_each_class(self, page):
        type_texts(page, f"kurz\n{HOSTILE}")
        wait_for_predictions(page, 2)
        assert page.texts(".text") == ["kurz", HOSTILE]
        assert page.texts(".label") == ["kurz", "länger"]
        assert page.texts(".prediction:first-child .name") == ["<b>kurz</b>", "länger"]
        shares = [float(text.rstrip("%")) for text in page.texts(".prediction:first-child .figure")]
        assert sum(shares) == pytest.approx(100, abs=0.2)
        widths = [element.rect["width"] for element in page.all(".prediction:first-child .track span")]
        assert widths[0] / widths[1] == pytest.approx(shares[0] / shares[1], rel=0.05)
        assert status(page).startswith("2 texts in ")
        assert "ms" in status(page)

    def test_change_their_answer_as_they_change(self, page):
        type_texts(page, "ab")
        wait_for_predictions(page, 1)
        assert status(page).endswith("%.")
        assert ": predicted label kurz, confidence " in status(page)
        type_texts(page, "cdefghijk")
        page.wait(
            "return document.getElementById('status').textContent.includes(': predicted label länger, confidence ')"
        )

    def test_may_hold_line_breaks_where_that_is_wanted(self, page):
        type_texts(page, "one\ntwo")
        wait_for_predictions(page, 2)
        page.click("#single-text")
        wait_for_predictions(page, 1)
        assert page.texts(".text") == ["one\ntwo"]

    def test_of_several_windows_show_which_one_decided(self, page):
        choose(page, "model", "windows")
        type_texts(page, f"short\n{'long ' * 5}")
        wait_for_predictions(page, 2)
        assert page.texts(".window") == ["window 3 of 3 decided"]

    def test_come_in_pairs_where_the_signature_wants_two(self, page):
        choose(page, "signature", "pair")
        type_texts(page, "a" * 20)
        type_texts(page, "b", into="#pair")
        wait_for_predictions(page, 1)
        assert page.texts(".label") == ["länger"]
        type_texts(page, "\nc", into="#pair")
        text = "1 first text, 2 second texts: enter as many second texts as first texts."
        page.wait(f"return document.getElementById('status').textContent === '{text}'")

    def test_can_be_asked_of_a_version_or_a_label(self, page):
        options = page.texts("#version option")
        assert options == ["latest (2)", "stable (1)", "3: end", "2", "1"]
        assert not page.all("#version option")[2].is_enabled()
        assert "Version 3 of texts: Could not find SavedModel" in page.find("#problem").text
        type_texts(page, "ab")
        for option, part in (
            ("1", "/versions/1:"),
            ("stable (1)", "/labels/stable:"),
            ("latest (2)", "/models/texts:"),
        ):
            choose(page, "version", option)
            wait_for_predictions(page, 1)
            assert part in page.find("#curl").text


class TestTheCalls:
    @pytest.mark.parametrize(("signature", "version"), [("serving_default", "latest (2)"), ("pair", "1")])
    def test_do_the_same_when_they_are_run(self, page, signature, version):
        choose(page, "version", version)
        choose(page, "signature", signature)
        text = 'it\'s "quoted" \\ $HOME `x` 😀 é'
        page.driver.execute_script(
            "const area = document.getElementById('text'); area.value = arguments[0];"
            "document.getElementById('pair').value = 'b'; area.dispatchEvent(new Event('input'))",
            text,
        )
        wait_for_predictions(page, 1)
        first = float(page.texts(".figure")[0].rstrip("%")) / 100
        curl = subprocess.run(["bash", "-c", page.find("#curl").text], capture_output=True, text=True, timeout=60)
        assert '"label": "länger"' in curl.stdout, curl.stderr
        code = page.find("#python").text
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, cwd=ROOT)
        label, shares = done.stdout.strip().split(" ", 1)
        assert label == "länger", done.stderr
        assert max(eval(shares)) == pytest.approx(first, abs=0.001)

    def test_of_any_model_do_the_same_when_they_are_run(self, page):
        choose(page, "model", "<i>numbers")
        choose(page, "signature", "two_inputs")
        done = subprocess.run(
            [sys.executable, "-c", page.find("#python").text], capture_output=True, text=True, timeout=60
        )
        assert done.stdout == "{'predictions': [1.0]}\n"
        done = subprocess.run(["bash", "-c", page.find("#curl").text], capture_output=True, text=True, timeout=60)
        assert "1.0" in done.stdout


class TestAnyModel:
    def test_shows_its_signatures_and_answers_json(self, page):
        choose(page, "model", "<i>numbers")
        choose(page, "signature", "matrix")
        assert "matrix input x float ? × 3" in page.texts("#signatures tbody tr")
        body = json.loads(page.find("#body").get_attribute("value"))
        assert body == {"signature_name": "matrix", "instances": [{"x": [0.5, 0.5, 0.5]}]}
        page.click("#json .main")
        page.wait("return document.querySelector('#predictions pre')?.textContent.includes('1.5')")
        assert status(page).startswith("Response in ")

    def test_tells_what_was_wrong_with_a_request(self, page):
        choose(page, "model", "<i>numbers")
        page.driver.execute_script("document.getElementById('body').value = '{'")
        page.press("#body", "\ue009\ue007")
        page.wait(
            "return document.getElementById('status').textContent.startsWith('Request refused: JSON Parse error')"
        )
        (line,) = page.console()
        assert "400 (Bad Request)" in line

    @pytest.mark.parametrize(("method", "shown"), [("classify", "minus y"), ("regress", "results")])
    def test_answers_examples_by_their_method(self, page, method, shown):
        choose(page, "model", "<i>numbers")
        choose(page, "signature", method)
        body = json.dumps({"signature_name": method, "examples": [{"x": 2.0}]})
        page.driver.execute_script(f"document.getElementById('body').value = {json.dumps(body)}")
        page.click("#json .main")
        page.wait(f"return document.querySelector('#predictions pre')?.textContent.includes('{shown}')")


def upload(page, path):
    page.driver.execute_script("document.getElementById('file').open = true")
    page.find("#upload").send_keys(str(path))


class TestAFile:
    def test_comes_back_with_its_predictions(self, page, tmp_path):
        rows = [("id", "Text", "label"), *((str(number), "x" * (number % 12), "old") for number in range(100))]
        rows[3] = ("2", 'a "quoted", and\nbroken text', "old")
        rows[4] = ("3", HOSTILE, "old")
        path = tmp_path / "texts.csv"
        with path.open("w", encoding="utf-8-sig", newline="") as file:
            csv.writer(file).writerows(rows)
        downloads = tmp_path / "downloads"
        page.driver.execute_cdp_cmd(
            "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(downloads)}
        )
        upload(page, path)
        page.wait("return document.getElementById('csv-status').textContent === '100 rows.'")
        page.click("#csv .main")
        page.wait("return !document.getElementById('download').hidden")
        page.click("#download")
        deadline = time.monotonic() + 20
        while not (downloads / "texts.predictions.csv").is_file():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        found = list(csv.reader(io.StringIO((downloads / "texts.predictions.csv").read_text("utf-8-sig"), newline="")))
        assert found[0] == ["id", "Text", "label", "label_2", *CLASSES]
        assert [tuple(row[:3]) for row in found[1:]] == rows[1:]
        assert found[3][3] == "länger"
        assert float(found[3][4]) + float(found[3][5]) == pytest.approx(1.0)
        assert all(row[3] == ("länger" if len(row[1]) >= 7 else "kurz") for row in found[1:])

    @pytest.mark.parametrize(
        ("content", "text"),
        [
            (b"text\n\xff\n", "The file is not UTF-8 text: save it as CSV UTF-8."),
            (b"text\n", "The file has no rows below its header."),
            (b"", "The file has no rows below its header."),
            (b"a,b\n1\n", "Row 2 has 1 cell, but the header has 2."),
            (b'a,b\n1,"x\n', "The quote that opens in row 2 is never closed."),
        ],
    )
    def test_that_cannot_be_read_is_explained(self, page, tmp_path, content, text):
        (tmp_path / "texts.csv").write_bytes(content)
        upload(page, tmp_path / "texts.csv")
        page.wait("return document.getElementById('csv-status').textContent !== ''")
        assert page.find("#csv-status").text == text
        assert not page.find("#csv-fields").is_displayed()


class TestEverybody:
    def test_reaches_all_by_keyboard(self, page):
        type_texts(page, "ab")
        wait_for_predictions(page, 1)
        reached = set()
        page.driver.execute_script("document.activeElement.blur()")
        for _ in range(25):
            page.driver.switch_to.active_element.send_keys("\ue004")
            reached.add(page.driver.switch_to.active_element.get_attribute("id"))
        assert {"theme", "model", "version", "signature", "text", "single-text", "curl", "python"} <= reached

    def test_hears_the_name_of_every_control(self, page):
        type_texts(page, "ab")
        wait_for_predictions(page, 1)
        page.driver.execute_script("document.getElementById('file').open = true")
        nodes = page.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
        controls = [
            node for node in nodes if node["role"]["value"] in ("textbox", "button", "combobox", "checkbox", "region")
        ]
        assert len(controls) > 8
        assert not [node for node in controls if not node["name"]["value"]]
        roles = {node["role"]["value"] for node in nodes}
        assert {"banner", "main", "contentinfo", "status", "heading"} <= roles

    @pytest.mark.parametrize("dark", [False, True])
    @pytest.mark.parametrize("width", [1280, 380])
    def test_sees_it_in_dark_and_light_and_on_a_telephone(self, browser, server, tmp_path, dark, width):  # noqa: F811
        browser.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False},
        )
        try:
            browser.visit(server.rest_url + "/", dark=dark)
            type_texts(browser, "so short\na text that is somewhat longer")
            wait_for_predictions(browser, 2)
            assert browser.driver.execute_script("return document.documentElement.scrollWidth") <= width
            ink, paper = browser.driver.execute_script(
                "const style = getComputedStyle(document.body); return [style.color, style.backgroundColor]"
            )
            assert contrast(ink, paper) > 7
            button = browser.driver.execute_script(
                "const style = getComputedStyle(document.querySelector('.main')); return [style.color, style.backgroundColor]"
            )
            assert contrast(*button) > 4.5
            assert brightness(paper) < 0.1 if dark else brightness(paper) > 0.9
            picture = browser.screenshot(tmp_path / f"page-{width}-{'dark' if dark else 'light'}.png")
            assert picture.stat().st_size > 10_000
        finally:
            browser.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        assert browser.console() == []

    def test_can_turn_dark_into_light(self, page):
        page.click("#theme")
        assert brightness(page.driver.execute_script("return getComputedStyle(document.body).backgroundColor")) < 0.1
        page.click("#theme")
        assert brightness(page.driver.execute_script("return getComputedStyle(document.body).backgroundColor")) > 0.9


def test_a_server_that_has_gone_is_told(browser, base):  # noqa: F811
    options = ServerOptions(models=[ModelConfig("texts", base / "texts", VersionPolicy(specific=(1,)))], port=None)
    with ServerThread(options) as running:
        browser.visit(running.rest_url + "/")
        browser.wait("return document.getElementById('signature').value !== ''")
    type_texts(browser, "ab")
    browser.wait("return document.getElementById('status').textContent === 'The server does not respond.'")
    browser.console()  # the browser itself reports the refused connection


def brightness(color):
    channels = [int(part) / 255 for part in color[color.index("(") + 1 : -1].split(",")[:3]]
    linear = [each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    dark, light = sorted((brightness(one), brightness(other)))
    return (light + 0.05) / (dark + 0.05)
