"""A self-contained HTML page: opens from a file, makes no network requests, can be printed."""

import functools
from dataclasses import dataclass
from pathlib import Path

import jinja2

from bert_serving.errors import InputError
from bert_serving.html.parts import Chart, Part
from bert_serving.io.files import check_writable, write_whole
from bert_serving.version import __version__


@dataclass(frozen=True)
class Section:
    """A heading with its parts.

    Attributes:
        title: the heading.
        parts: in the order of the page.
        lead: one or two sentences on what the section shows and how to read it.
    """

    title: str
    parts: tuple[Part, ...]
    lead: str = ""


@dataclass(frozen=True)
class Page:
    """A page.

    Attributes:
        title: the heading and the name of the document.
        subtitle: what the page is about: file, rows, model.
        sections: in the order of the table of contents.
    """

    title: str
    subtitle: str
    sections: tuple[Section, ...]

    def render(self) -> str:
        """The HTML document with its styles, scripts and data."""
        charts = any(isinstance(part, Chart) for section in self.sections for part in section.parts)
        return _template().render(
            page=self,
            version=__version__,
            css=_file("page.css"),
            js=_file("page.js"),
            bundle=_bundle() if charts else "",
        )

    def write(self, path: Path) -> Path:
        """Writes the document; a file of that name is replaced only once the new one is complete.

        Raises:
            InputError: the path is a folder or cannot be written.
        """
        path = writable(path)
        document = self.render()
        try:
            write_whole(path, document.encode("utf-8"))
        except OSError as error:
            raise _unwritable(path, error.strerror or str(error)) from None
        return path


def writable(path: Path) -> Path:
    """The path, if a page can be written there; commands check it before the long work starts.

    Raises:
        InputError: it is a folder, or its folder is missing or not writable.
    """
    try:
        check_writable(Path(path))
    except OSError as error:
        raise _unwritable(Path(path), error.strerror or str(error)) from None
    return Path(path)


def _unwritable(path: Path, reason: str) -> InputError:
    return InputError(f"{path}: cannot write the page: {reason}; give another path")


def _file(name: str) -> str:
    return (Path(__file__).parent / "templates" / name).read_text("utf-8")


@functools.cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    return environment.from_string(_file("page.html"))


@functools.cache
def _bundle() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script; building it takes seconds."""
    import vl_convert  # noqa: PLC0415  only pages with charts need it

    # A "</script" inside a string of the libraries would end the element.
    bundle: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    return bundle.replace("</script", "<\\/script")
