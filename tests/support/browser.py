"""A real Chromium without a window, for tests of pages. Import the fixture `browser` where it is used."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

CHROMIUM, DRIVER = "chromium", "chromedriver"
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,900",
)
SECONDS = 30


class Browser:
    """A page opened from its file, and what tests ask of it.

    Attributes:
        driver: selenium's driver, for everything else.
    """

    def __init__(self, driver):
        self.driver = driver

    def open(self, path: Path, *, dark: bool = False) -> None:
        """Loads a page from its file and waits until all its charts are drawn."""
        self.visit(Path(path).resolve().as_uri(), dark=dark)
        self.wait_for_charts()

    def visit(self, address: str, *, dark: bool = False) -> None:
        """Loads whatever is at an address."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        self.driver.get(address)
        self.wait("return document.readyState === 'complete'")

    def wait_for_charts(self) -> None:
        """Waits until each chart is drawn or has failed."""
        self.wait(
            "return [...document.querySelectorAll('figure.chart')]"
            ".every((figure) => ['drawn', 'failed'].includes(figure.dataset.state))"
        )

    def wait(self, script: str) -> None:
        """Waits until a script returns something true."""
        from selenium.webdriver.support.ui import WebDriverWait

        WebDriverWait(self.driver, SECONDS, poll_frequency=0.05).until(lambda driver: driver.execute_script(script))

    def find(self, selector: str):
        """The first element that fits a CSS selector."""
        return self.driver.find_element("css selector", selector)

    def all(self, selector: str) -> list:
        """All elements that fit a CSS selector."""
        return self.driver.find_elements("css selector", selector)

    def texts(self, selector: str) -> list[str]:
        """The texts of all elements that fit a CSS selector."""
        return [element.text for element in self.all(selector)]

    def click(self, selector: str) -> None:
        """Clicks where the element really is, as a person would."""
        element = self.find(selector)
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", element)
        element.click()

    def press(self, selector: str, *keys: str) -> None:
        """Types on the element that has the focus after focusing this one."""
        element = self.find(selector)
        self.driver.execute_script("arguments[0].focus()", element)
        element.send_keys(*keys)

    def console(self) -> list[str]:
        """Everything that the browser's console holds since the last call; a good page leaves it empty."""
        return [f"{entry['level']}: {entry['message']}" for entry in self.driver.get_log("browser")]

    def first_paint(self) -> float:
        """Seconds from the navigation to the first contentful paint."""
        entry = "performance.getEntriesByName('first-contentful-paint')[0]"
        self.wait(f"return {entry} !== undefined")
        return self.driver.execute_script(f"return {entry}.startTime") / 1000

    def screenshot(self, path: Path, *, whole: bool = True) -> Path:
        """Writes a PNG of the whole page, or of what is in the window."""
        import base64

        options = {"captureBeyondViewport": whole}
        if whole:
            size = self.driver.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssContentSize"]
            options["clip"] = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        picture = self.driver.execute_cdp_cmd("Page.captureScreenshot", options)
        path.write_bytes(base64.b64decode(picture["data"]))
        return path


@contextlib.contextmanager
def start_browser(profile: Path) -> Iterator[Browser]:
    """A Chromium with a profile folder of its own, which must be new and empty."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = str(shutil.which(CHROMIUM))
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(str(shutil.which(DRIVER))))
    try:
        yield Browser(driver)
    finally:
        driver.quit()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Chromium, where it is installed."""
    for program in (CHROMIUM, DRIVER):
        if shutil.which(program) is None:
            pytest.skip(f"needs {program}")
    with start_browser(tmp_path_factory.mktemp("chromium")) as opened:
        yield opened
