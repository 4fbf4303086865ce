"""Notebooks as pages of the docs' site: MkDocs calls the functions whose name begins with on_ (mkdocs.yml).

A notebook becomes a Markdown page, with its pictures as files beside it, so that links between pages
are checked, the search finds its text, and nothing but the site's own style is loaded.
"""

import base64
import json
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

_COLORS = re.compile(r"\x1b\[[0-9;]*m")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Puts a page in the place of each notebook."""
    for file in [each for each in files if each.src_uri.endswith(".ipynb")]:
        files.remove(file)
        notebook = json.loads(Path(str(file.abs_src_path)).read_text("utf-8"))
        name = file.src_uri.removesuffix(".ipynb")
        page, pictures = page_of(notebook, name.rpartition("/")[2])
        files.append(File.generated(config, f"{name}.md", content=page))
        folder = name.rpartition("/")[0]
        for picture, data in pictures.items():
            files.append(File.generated(config, f"{folder}/{picture}", content=data))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Lets links to notebooks lead to their pages."""
    return re.sub(r"(\]\([^)\s]+)\.ipynb\b", r"\1.md", markdown)


def page_of(notebook: dict[str, Any], name: str) -> tuple[str, dict[str, bytes]]:
    """Markdown of a notebook, and its pictures by path beside the page.

    Args:
        notebook: a notebook of format 4, as read from JSON.
        name: what the files of the pictures are named for.
    """
    pictures: dict[str, bytes] = {}
    parts = []
    for cell in notebook["cells"]:
        source = "".join(cell["source"]).strip()
        if cell["cell_type"] == "markdown":
            parts.append(source)
        elif source:
            parts.append(_fence("python", source))
            parts += [_output(output, name, pictures) for output in cell["outputs"]]
    return "\n\n".join(part for part in parts if part) + "\n", pictures


def _output(output: dict[str, Any], name: str, pictures: dict[str, bytes]) -> str:
    if output["output_type"] == "stream":
        return _fence("{ .text .output }", _plain(output["text"]))
    data = output.get("data", {})
    if "image/png" in data:
        path = f"{name}_{len(pictures) + 1}.png"
        pictures[path] = base64.b64decode("".join(data["image/png"]))
        return f"![{_alternative(output)}]({path}){{ .output }}"
    if "text/html" in data:
        return f'<div class="output">\n{_html(data["text/html"])}\n</div>'
    return _fence("{ .text .output }", _plain(data["text/plain"])) if "text/plain" in data else ""


def _alternative(output: dict[str, Any]) -> str:
    return str(output.get("metadata", {}).get("alt", "output of the cell above"))


def _html(text: str | list[str]) -> str:
    # The site has its own style for tables, and Markdown ends a block of HTML at an empty line.
    unstyled = re.sub(r"<style.*?</style>", "", "".join(text), flags=re.DOTALL)
    return "\n".join(line for line in unstyled.splitlines() if line.strip())


def _plain(text: str | list[str]) -> str:
    # A progress bar returns to the start of its line: what was written last remains.
    lines = _COLORS.sub("", "".join(text)).split("\n")
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in lines).strip("\n")


def _fence(language: str, text: str) -> str:
    return f"```{language}\n{text}\n```" if text else ""
