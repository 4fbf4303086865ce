"""A finding of the audit: what in the data to fix or to check, with values, counts and what to do."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class DataFinding:
    """Something in the data to fix or to check.

    Attributes:
        name: of the check, for scripts.
        level: fix: fix it before training; check: check whether it is intended.
        title: the finding in one line, with values and counts.
        advice: what to do, in sentences.
        labels: the labels concerned.
        rows: numbers of the rows concerned, from 0, by split.
    """

    name: str
    level: Literal["check", "fix"]
    title: str
    advice: str
    labels: tuple[str, ...] = ()
    rows: Mapping[str, Sequence[int]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain values without the numbers of the rows."""
        plain = asdict(self)
        del plain["rows"]
        return plain

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "DataFinding":
        """Reads what `to_json` wrote."""
        return cls(**{**value, "labels": tuple(value["labels"])})
