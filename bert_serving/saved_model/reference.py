"""Reference texts: validation texts with the answers of the model in memory, which an export is compared with."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

MOST_ROWS = 2_000
"""number of validation rows that are compared at most, drawn at random"""


@dataclass(frozen=True)
class Reference:
    """Texts with the answers of the model in memory.

    Attributes:
        texts: the texts.
        pairs: second texts, or None.
        probabilities: float32 [N, C].
    """

    texts: tuple[str, ...]
    pairs: tuple[str, ...] | None
    probabilities: np.ndarray

    def save(self, path: Path) -> None:
        """Writes the reference as JSON."""
        value = {"texts": self.texts, "pairs": self.pairs, "probabilities": self.probabilities.tolist()}
        path.write_text(json.dumps(value), "utf-8")

    @classmethod
    def load(cls, path: Path) -> "Reference":
        """Reads a reference that `save` wrote."""
        value = json.loads(path.read_text("utf-8"))
        pairs = None if value["pairs"] is None else tuple(value["pairs"])
        return cls(tuple(value["texts"]), pairs, np.array(value["probabilities"], np.float32))

    def part(self, start: int, size: int) -> "Reference":
        """At most `size` rows from `start` on."""
        rows = slice(start, start + size)
        return Reference(self.texts[rows], None if self.pairs is None else self.pairs[rows], self.probabilities[rows])


def drawn_rows(rows: int) -> list[int]:
    """Indices of the rows that are compared, sorted: all, or a random sample of `MOST_ROWS`."""
    if rows <= MOST_ROWS:
        return list(range(rows))
    return sorted(np.random.default_rng(0).choice(rows, MOST_ROWS, replace=False).tolist())
