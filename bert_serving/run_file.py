"""Run files as TOML: tables, overrides, keys of earlier versions, relative paths, resolved copies.

`config.py` has the keys of training's run files, `pretraining/config.py` those of pretraining's.
"""

import json
import tomllib
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from bert_serving.errors import RenamedWarning, RunFileError, describe_problem

Paths = Annotated[tuple[Path, ...], Field(min_length=1)]
Share = Annotated[float, Field(gt=0, lt=1)]
Positive = Annotated[int, Field(gt=0)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
"""numpy's generators take no other seed"""


_KEYS_PAGE = "docs/run_files.md"


def tuple_of(value: Any) -> Any:
    """Returns a tuple of one for a single path or word; anything else unchanged."""
    return (value,) if isinstance(value, str | Path) else value


class Table(BaseModel):
    """A table of a run file: frozen; unknown keys are errors."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, use_attribute_docstrings=True, allow_inf_nan=False
    )
    renamed_keys: ClassVar[Mapping[str, str]] = {}
    """the new name of each key that had another one in earlier versions"""
    alternatives: ClassVar[frozenset[str]] = frozenset()
    """keys of which a table has one: an override of one takes the place of the others"""

    @model_validator(mode="before")
    @classmethod
    def _rename_keys(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        twice = [f"{new} and {old}" for old, new in cls.renamed_keys.items() if old in values and new in values]
        if twice:
            raise ValueError(f"{', '.join(twice)} are one key under two names; remove the second")
        return {cls.renamed_keys.get(key, key): value for key, value in values.items()}

    def resolve_paths(self, base: Path) -> Self:
        """Returns the table with its relative paths made absolute, below `base`."""
        return self.model_copy(update={key: resolved for key, value in self if (resolved := _resolved(value, base))})


class FilesTable(Table):
    """A table whose files are relative to a folder of its own."""

    folder: Path = Path()
    """folder of the data files below, relative to the run file"""

    def resolve_paths(self, base: Path) -> Self:
        """Returns the table with its folder below `base` and its files below the folder."""
        folder = base / self.folder.expanduser()
        return super().resolve_paths(folder).model_copy(update={"folder": folder})


class RunFile(Table):
    """A whole run file; its fields are tables."""

    page: ClassVar[str]
    """page of the documentation that lists the keys"""


RunFileT = TypeVar("RunFileT", bound=RunFile)
TableT = TypeVar("TableT", bound=Table)


def read_run_file(path: Path, overrides: Sequence[str], model: type[RunFileT]) -> RunFileT:
    """Reads a run file, applies `table.key=value` overrides and makes its paths absolute.

    Keys of earlier versions are accepted, with a `RenamedWarning` that names the new ones.

    Raises:
        RunFileError: the file is missing, not valid TOML, or has wrong, missing or unknown keys; lists all of them.
    """
    try:
        tables = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        reason = error.strerror or str(error)
        raise RunFileError(str(path), [f"cannot read the run file: {reason}; check the path"]) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RunFileError(str(path), [f"is not valid TOML: {error}"]) from None
    for text in overrides:
        _override(tables, text, model)
    for name, field in model.model_fields.items():
        table = tables.get(name)
        for old, new in getattr(field.annotation, "renamed_keys", {}).items():
            if isinstance(table, dict) and old in table:
                warnings.warn(f"{path}: {name}.{old} is now {name}.{new}", RenamedWarning, stacklevel=3)
    config = parse_tables(tables, model, source=str(path))
    # The demo's run file is a link into the package; its data lies beside the link's target.
    base = path.resolve().parent
    return config.model_copy(update={name: table.resolve_paths(base) for name, table in config})


def parse_tables(tables: Mapping[str, Any], model: type[TableT], source: str) -> TableT:
    """Validates the tables of a run file, or the keys of one of its tables.

    Raises:
        RunFileError: with one problem for each wrong, missing or unknown key.
    """
    remedies = {
        "extra_forbidden": f"; remove it or correct its spelling ({getattr(model, 'page', _KEYS_PAGE)} lists all)",
        "missing": "; add it",
    }
    try:
        return model.model_validate(tables)
    except ValidationError as error:
        problems = [
            describe_problem(problem, "run file") + remedies.get(problem["type"], "") for problem in error.errors()
        ]
        raise RunFileError(source, problems) from None


def dump_run_file(config: RunFile) -> str:
    """Returns the TOML of a run file with every key resolved, so that it reproduces the run."""
    lines = []
    for table, keys in config.model_dump(mode="json").items():
        lines.append(f"[{table}]")
        # A JSON string, number, boolean or list of them is TOML too; TOML has no null, an absent key says the same.
        # Only DEL, which JSON leaves as it is, must be escaped in TOML.
        lines += [
            f"{key} = {json.dumps(value, ensure_ascii=False)}".replace("\x7f", "\\u007f")
            for key, value in keys.items()
            if value is not None and value != []
        ]
        lines.append("")
    return "\n".join(lines)


def _override(tables: dict[str, Any], text: str, model: type[RunFile]) -> None:
    """Sets the key of `table.key=value`, in the place of its alternatives."""
    name, separator, value = text.partition("=")
    table, dot, key = name.strip().partition(".")
    if not separator or not table or not dot or not key:
        raise RunFileError("--set", [f"expected table.key=value such as training.epochs=5, got {text!r}"])
    if not isinstance(tables.setdefault(table, {}), dict):
        raise RunFileError("--set", [f"{table!r} is not a table of the run file, got {text!r}"])
    try:
        tables[table][key] = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        tables[table][key] = value  # a bare word such as mirrored, or a path
    field = model.model_fields.get(table)
    alternatives: frozenset[str] = getattr(field.annotation, "alternatives", frozenset()) if field else frozenset()
    if key in alternatives:
        for other in alternatives - {key}:
            tables[table].pop(other, None)


def _resolved(value: Any, base: Path) -> Any:
    """Returns the absolute path of a path, those of a tuple of paths, and None for any other value."""
    if isinstance(value, Path):
        return base / value.expanduser()
    if isinstance(value, tuple) and all(isinstance(item, Path) for item in value):
        return tuple(base / item.expanduser() for item in value)
    return None
