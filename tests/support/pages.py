"""Python examples of pages and docstrings, run as a reader would: each after the other in one namespace."""

import doctest
import re
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_FENCE = re.compile(r"^(?P<indent> *)```python\n(?P<code>.*?)^ *```$", re.MULTILINE | re.DOTALL)
_NOT_RUN = re.compile(r"<!-- not run: (?P<reason>.+?) -->\s*\Z")


@dataclass(frozen=True)
class Block:
    """One Python block.

    Attributes:
        place: file and line, for a traceback.
        code: the block without its fence.
        not_run: why it cannot run; empty for one that does.
    """

    place: str
    code: str
    not_run: str = ""


def blocks_of(text: str, name: str) -> list[Block]:
    """The Python blocks of a page or a docstring, in order."""
    blocks = []
    for found in _FENCE.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        marked = _NOT_RUN.search(text[: found.start()])
        code = textwrap.dedent(found["code"])
        blocks.append(Block(f"{name}:{line}", code, marked["reason"] if marked else ""))
    return blocks


def run_blocks(blocks: list[Block], addresses: dict[str, str]) -> dict[str, Any]:
    """Runs blocks in one namespace, which it returns.

    Args:
        blocks: in order; those that cannot run are skipped.
        addresses: what stands in a page for what the test has, such as its server's port.
    """
    namespace: dict[str, Any] = {"__name__": "__example__"}
    for block in blocks:
        if not block.not_run:
            code = _with(block.code, addresses)
            exec(compile(code, block.place, "exec"), namespace)  # the docs' own code
    return namespace


def run_doctest(text: str, name: str, addresses: dict[str, str]) -> None:
    """Runs the examples of a docstring that stand after >>>, and compares what they print."""
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    test = doctest.DocTestParser().get_doctest(_with(text, addresses), {"__name__": "__example__"}, name, name, 0)
    report: list[str] = []
    failed = doctest.DocTestRunner(optionflags=flags).run(test, out=report.append).failed
    assert not failed, "".join(report)


def _with(code: str, addresses: dict[str, str]) -> str:
    for written, real in addresses.items():
        code = code.replace(written, real)
    return code


def page_blocks(path: Path, root: Path) -> list[Block]:
    """The Python blocks of a page of the repository."""
    return blocks_of(path.read_text("utf-8"), str(path.relative_to(root)))
