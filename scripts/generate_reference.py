"""Writes the pages of docs/reference/ that are made from the code: run files, commands, flags of the server, errors.

python scripts/generate_reference.py
"""

import json
import sys
import types
import typing
from enum import StrEnum
from pathlib import Path
from typing import Any

import command_pages
from pydantic.fields import FieldInfo

from bert_serving.config import RunConfig
from bert_serving.pretraining.config import PretrainingConfig
from bert_serving.scoring.settings import ScoreSettings

REFERENCE = Path(__file__).parent.parent / "docs" / "reference"

INTRODUCTION = """\
# Run files

A run file decides everything about a training run. It is TOML with six tables; `[data]` needs `train`, `[encoder]` needs `name` or
`path`, everything else has a default. An unknown key is an error, and all problems are reported at once.

```
bert-serving train export/emotion.toml --set data.folder=/data/emotion --set training.epochs=2
```

`--set table.key=value` overrides a key; the value is TOML, or a bare word. The run folder keeps the resolved file as `run.toml`. Paths
are relative to the run file.

This page is made by `python scripts/generate_reference.py` from `bert_serving/config.py`.
"""


PRETRAINING_INTRODUCTION = """\
# Run files of pretraining

What `bert-serving pretrain` reads ([pretraining.md](../how_to/pretraining.md)). TOML; `[data]` needs `train`, `[encoder]` needs `name`,
`path` or a size. Paths are relative to the run file; `--set table.key=value` overrides a key.

This page is made by `python scripts/generate_reference.py` from `bert_serving/pretraining/config.py`.
"""


SCORE_INTRODUCTION = """\
# Files of scoring jobs

What `bert-serving score score.toml` reads ([score.md](../how_to/score.md)). TOML without tables; the options of the command have the
same names, with dashes, and take the place of the keys. Paths are relative to the file.

This page is made by `python scripts/generate_reference.py` from `bert_serving/scoring/settings.py`.
"""


def score_page() -> str:
    """The whole page on the files of scoring jobs."""
    return "\n".join([SCORE_INTRODUCTION, *_rows(ScoreSettings), ""])


def pretraining_page() -> str:
    """The whole page on pretraining's run files."""
    tables = [_table(name, field) for name, field in PretrainingConfig.model_fields.items()]
    return "\n".join([PRETRAINING_INTRODUCTION, *tables])


def page() -> str:
    """The whole page."""
    tables = [_table(name, field) for name, field in RunConfig.model_fields.items()]
    return "\n".join([INTRODUCTION, *tables])


def _table(name: str, field: FieldInfo) -> str:
    model: Any = field.annotation
    text = " ".join(model.__doc__.split())
    # The keys of `[tune]` are those of other tables.
    return "\n".join([f"## `[{name}]`", "", text, "", *([*_rows(model), ""] if model.model_fields else [])])


def _rows(model: Any) -> list[str]:
    rows = [
        f"| `{key}` | {_type(each)} | {_default(each)} | {_sentence(each.description)} |"
        for key, each in model.model_fields.items()
    ]
    return ["| key | value | default | |", "|---|---|---|---|", *rows]


def _type(field: FieldInfo) -> str:
    return _name(field.annotation) + _bounds(field)


def _name(annotation: Any) -> str:
    arguments = typing.get_args(annotation)
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return _name(next(each for each in arguments if each is not type(None)))
    if typing.get_origin(annotation) is typing.Literal:
        return ", ".join(f"`{json.dumps(each) if isinstance(each, bool) else each}`" for each in arguments)
    if typing.get_origin(annotation) is typing.Annotated:
        return _name(arguments[0])
    if typing.get_origin(annotation) is tuple:
        return f"{_name(arguments[0])} or a list"
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return ", ".join(f"`{each.value}`" for each in annotation)
    return {Path: "path", str: "text", int: "integer", float: "number", bool: "`true`, `false`"}.get(
        annotation, str(annotation)
    )


def _bounds(field: FieldInfo) -> str:
    words = {"gt": "over", "ge": "at least", "lt": "under", "le": "at most"}
    limits = [
        f"{word} {getattr(each, key)}" for each in field.metadata for key, word in words.items() if hasattr(each, key)
    ]
    return f", {' and '.join(limits)}" if limits else ""


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "needed"
    value = field.default
    if value is None or value == ():
        return ""
    return f"`{json.dumps(str(value)) if isinstance(value, str | Path) else json.dumps(value)}`"


def _sentence(description: str | None) -> str:
    # A row of a table is one line, however the docstring is broken.
    return " ".join((description or "").split()).replace("|", "\\|")


def pages() -> dict[str, str]:
    """Text of each generated page, by its file's name."""
    return {
        "run_files.md": page(),
        "pretraining_files.md": pretraining_page(),
        "score_files.md": score_page(),
        "commands.md": command_pages.commands_page(),
        "flags.md": command_pages.flags_page(),
        "errors.md": command_pages.errors_page(),
    }


if __name__ == "__main__":
    for name, text in pages().items():
        (REFERENCE / name).write_text(text, "utf-8")
        sys.stdout.write(f"wrote {REFERENCE / name}\n")
