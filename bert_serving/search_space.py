"""The table `[tune]` of a run file: which keys `bert-serving tune` searches, and between which values.

`config.py` has the keys themselves; here is what may be said of them.
"""

import math
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from pydantic import ConfigDict, TypeAdapter, ValidationError, model_validator
from pydantic.fields import FieldInfo

from bert_serving.errors import RunFileError
from bert_serving.run_file import Table

# What is compared, where it runs and what it is called: another value of these makes no better model.
_NOT_SEARCHED = {
    "head.kind": "it decides what is measured",
    "training.best_metric": "it decides what is measured",
    "training.seed": "all trials have one seed; train the best values with --seeds",
    **dict.fromkeys(
        (
            *("training.strategy", "training.worker_timeout", "training.devices", "training.tpu"),
            *("encoder.preprocessing", "encoder.trusted", "encoder.cache_tokens", "encoder.cache_features"),
        ),
        "it has no part in how good the model is",
    ),
}
_SEARCHED_TABLES = ("encoder", "head", "training")
_RANGE_KEYS = {"low", "high", "log", "step"}
_SHAPE = "a list of values, or {low = ..., high = ...} with log = true or step = ..."


class Range(Table):
    """Numbers from `low` to `high`, both included."""

    low: int | float
    """least value"""
    high: int | float
    """greatest value"""
    log: bool = False
    """draw the logarithm evenly: as many values between 1e-5 and 1e-4 as between 1e-4 and 1e-3"""
    step: int | float | None = None
    """only low, low + step, low + 2 step and so on"""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low must be under high, got low = {self.low:g} and high = {self.high:g}")
        if self.log and self.low <= 0:
            raise ValueError(f"log needs a low over 0, got low = {self.low:g}")
        if self.log and self.step is not None:
            raise ValueError("log and step do not go together; leave out one of them")
        if self.step is not None and not 0 < self.step <= self.high - self.low:
            raise ValueError(f"step must be over 0 and at most high - low, got {self.step:g}")
        return self

    def holds(self, value: Any) -> bool:
        """Whether a value lies between the ends, and on a step."""
        if isinstance(value, bool) or not isinstance(value, int | float) or not self.low <= value <= self.high:
            return False
        if self.step is None:
            return True
        steps = (value - self.low) / self.step
        return math.isclose(steps, round(steps), abs_tol=1e-9)


Choices = tuple[Any, ...]
"""the values of a key that is no range of numbers"""


class TuneConfig(Table):
    """The search space of `bert-serving tune` ([tune.md](../how_to/tune.md)); no other command reads it. Its keys are keys of `[encoder]`,
    `[head]` and `[training]` with their table, such as `"training.learning_rate"`. A value is a list of values, or a range
    `{low = 3e-5, high = 3e-4, log = true}`: `low` and `high` are included; `log` draws the logarithm evenly; `step` allows only
    low, low + step and so on. Without the table the learning rate, the number of epochs, the batch size, dropout and warmup are searched.
    """  # noqa: D205  a paragraph of the reference

    model_config = ConfigDict(extra="allow")

    @model_validator(mode="before")
    @classmethod
    def _flat(cls, values: Any) -> Any:
        """Keys with their table in one name, and each value read once, so that a wrong one is told."""
        if not isinstance(values, dict):
            return values
        flat = _flattened(values)
        for key, value in flat.items():
            _dimension(key, value)
        return flat

    @property
    def space(self) -> dict[str, Range | Choices]:
        """The values of each key, by the key's name with its table."""
        return {key: _dimension(key, value) for key, value in (self.model_extra or {}).items()}

    def resolve_paths(self, base: Path) -> Self:
        """Returns the table with the relative paths of encoders made absolute, below `base`."""
        paths = self.space.get("encoder.path")
        if not isinstance(paths, tuple):
            return self
        resolved = [str(base / Path(path).expanduser()) for path in paths]
        return type(self).model_validate({**(self.model_extra or {}), "encoder.path": resolved})


def space_problems(space: Mapping[str, Range | Choices], tables: Mapping[str, type[Table]]) -> list[str]:
    """What is wrong with a search space, one line for each key.

    Args:
        space: values by key.
        tables: the tables of the run file by name.
    """
    return [f"tune.{key}: {problem}" for key, values in space.items() for problem in _problems(key, values, tables)]


def check_overrides(space: Mapping[str, Range | Choices], overrides: Sequence[str]) -> None:
    """Checks that no override sets a key that is searched.

    Raises:
        RunFileError: one does.
    """
    keys = [override.partition("=")[0].strip() for override in overrides]
    twice = [key for key in keys if key in space]
    if twice:
        raise RunFileError(
            "--set",
            [f"{key} is searched by [tune] and set by --set; leave out one of them" for key in dict.fromkeys(twice)],
        )


def is_integer(tables: Mapping[str, type[Table]], key: str) -> bool:
    """Whether a key that has a range holds whole numbers."""
    table, _, name = key.partition(".")
    return int in _kinds(tables[table].model_fields[name].annotation)


def _problems(key: str, values: Range | Choices, tables: Mapping[str, type[Table]]) -> list[str]:
    table, _, name = key.partition(".")
    if table not in _SEARCHED_TABLES:
        if table in tables:
            return [f"keys of [{table}] are not searched; searched are those of {', '.join(_SEARCHED_TABLES)}"]
        return [f"unknown key; give table.key of {', '.join(_SEARCHED_TABLES)}, such as training.learning_rate"]
    model = tables[table]
    if name in model.renamed_keys:
        return [f"is now {table}.{model.renamed_keys[name]}; use that name"]
    if name not in model.model_fields:
        return ["unknown key; remove it or correct its spelling (docs/reference/run_files.md lists all)"]
    if key in _NOT_SEARCHED:
        return [f"cannot be searched: {_NOT_SEARCHED[key]}; remove it"]
    field = model.model_fields[name]
    if isinstance(values, tuple):
        return _value_problems(field, values)
    kinds = _kinds(field.annotation)
    if bool in kinds or not kinds & {int, float}:
        return ["is no number, so that it has no range; give a list of values"]
    ends = [values.low, values.high, *([values.low + values.step] if values.step is not None else [])]
    return _value_problems(field, ends)


def _value_problems(field: FieldInfo, values: Sequence[Any]) -> list[str]:
    # A field needs no other metadata for its type; Annotated takes no empty list.
    annotation: Any = typing.Annotated[field.annotation, field, *field.metadata]
    adapter: TypeAdapter[Any] = TypeAdapter(annotation)
    problems = []
    for value in values:
        try:
            adapter.validate_python(value)
        except ValidationError as error:
            message = error.errors()[0]["msg"]
            problems.append(f"{message[0].lower()}{message[1:]}, got {value!r}")
    return problems


def _flattened(values: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """`{"training": {"epochs": ...}}`, as TOML reads an unquoted key, as `{"training.epochs": ...}`."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        is_table = isinstance(value, dict) and value and not set(value) & _RANGE_KEYS
        for name, part in (_flattened(value, f"{before}{key}.") if is_table else {f"{before}{key}": value}).items():
            if name in flat:
                raise ValueError(f"{name} is there twice; remove one of them")
            flat[name] = part
    return flat


def _dimension(key: str, value: Any) -> Range | Choices:
    if isinstance(value, Range):
        return value
    if isinstance(value, list | tuple):
        if not value:
            raise ValueError(f"{key}: the list is empty; give values to choose from")
        if any(isinstance(each, dict | list | tuple) for each in value):
            raise ValueError(f"{key}: expected a list of plain values, got {list(value)!r}")
        repeated = [each for number, each in enumerate(value) if each in value[:number]]
        if repeated:
            raise ValueError(f"{key}: {repeated[0]!r} is there twice; remove one of them")
        return tuple(value)
    if not isinstance(value, dict) or not {"low", "high"} <= set(value) <= _RANGE_KEYS:
        raise ValueError(f"{key}: expected {_SHAPE}, got {value!r}")
    try:
        return Range.model_validate(value)
    except ValidationError as error:
        problem = error.errors()[0]
        message = (
            str(problem["ctx"]["error"]) if problem["type"] == "value_error" else f"{problem['msg']}, got {value!r}"
        )
        raise ValueError(f"{key}: {message[0].lower()}{message[1:]}") from None


def _kinds(annotation: Any) -> set[Any]:
    """The plain types of a field's annotation."""
    origin = typing.get_origin(annotation)
    if origin in (typing.Union, types.UnionType):
        return {kind for each in typing.get_args(annotation) for kind in _kinds(each)}
    if origin is typing.Annotated:
        return _kinds(typing.get_args(annotation)[0])
    return {annotation}
