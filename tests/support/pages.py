"""Python examples of pages and docstrings, run as a reader would: each after the other in one namespace."""

import importlib
import inspect
import re
import textwrap
from dataclasses import dataclass
from functools import cached_property
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


def _with(code: str, addresses: dict[str, str]) -> str:
    for written, real in addresses.items():
        code = code.replace(written, real)
    return code


def page_blocks(path: Path, root: Path) -> list[Block]:
    """The Python blocks of a page of the repository."""
    return blocks_of(path.read_text("utf-8"), str(path.relative_to(root)))


def docstring_blocks(name: str) -> dict[str, list[Block]]:
    """The Python blocks of an object's docstring, and of those of a class's public members, by qualified name.

    Args:
        name: such as "bert_serving.Run".
    """
    module, _, attribute = name.rpartition(".")
    value = getattr(importlib.import_module(module), attribute)
    found = {name: blocks_of(inspect.getdoc(value) or "", name)}
    if inspect.isclass(value):
        members = [each for each in vars(value) if not each.startswith("_")]
        found |= {f"{name}.{each}": blocks_of(_own_text(vars(value)[each]), f"{name}.{each}") for each in members}
    return found


def _own_text(member: object) -> str:
    # A constant of a class has the docstring of its type.
    is_documented = callable(member) or isinstance(member, property | cached_property | classmethod | staticmethod)
    return (inspect.getdoc(member) or "") if is_documented else ""
