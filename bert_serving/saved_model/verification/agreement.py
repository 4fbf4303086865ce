"""Does an export agree with the model in memory on real texts, and which of two exports answers them sooner?

Run as `python -m bert_serving.saved_model.verification.agreement REFERENCE FOLDER...`, it measures exports in turns in one fresh
process and prints the seconds of each as JSON.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bert_serving.contract import MULTILABEL_THRESHOLD, Head
from bert_serving.errors import VerificationError
from bert_serving.saved_model.manifest import Agreement

if TYPE_CHECKING:
    from bert_serving.saved_model.reader import ExportedModel

MOST_ROWS = 2_000
"""of a validation set are compared, drawn at random"""
_BATCH = 32
_ROUNDS = 7
_ROUND_BATCHES = 4


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
        """Some rows."""
        rows = slice(start, start + size)
        return Reference(self.texts[rows], None if self.pairs is None else self.pairs[rows], self.probabilities[rows])


def drawn_rows(rows: int) -> list[int]:
    """Which of so many rows are compared, in their order."""
    if rows <= MOST_ROWS:
        return list(range(rows))
    return sorted(np.random.default_rng(0).choice(rows, MOST_ROWS, replace=False).tolist())


def compare(model: "ExportedModel", reference: Reference, head: Head) -> Agreement:
    """Asks an export for all texts of a reference."""
    answers, expected = model.predict(reference.texts, reference.pairs), reference.probabilities
    # A regression's value has no scale of its own, so its difference is given in parts of the largest.
    scale = max(1.0, float(np.abs(expected).max(initial=0))) if head is Head.REGRESSION else 1.0
    return Agreement(
        rows=len(expected),
        max_probability_difference=float(np.abs(answers - expected).max()) / scale,
        changed_labels=int((_labels(answers, head) != _labels(expected, head)).any(axis=1).sum()),
    )


def _labels(probabilities: np.ndarray, head: Head) -> np.ndarray:
    """What is answered, [N, any]."""
    match head:
        case Head.REGRESSION:
            return np.zeros((len(probabilities), 0))
        case Head.MULTILABEL:
            return probabilities >= MULTILABEL_THRESHOLD
        case _:
            return probabilities.argmax(axis=1)[:, np.newaxis]


def seconds_in_turns(reference: Path, folders: Sequence[Path]) -> list[float]:
    """Median seconds for a batch of 32 texts of each export, measured in turns in a fresh process on this machine.

    Raises:
        VerificationError: the process failed.
    """
    command = [
        sys.executable,
        "-m",
        "bert_serving.saved_model.verification.agreement",
        *(str(each) for each in (reference, *folders)),
    ]
    environment = os.environ | {
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TF_USE_LEGACY_KERAS": "1",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    result = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    try:
        return json.loads(result.stdout.strip().splitlines()[-1])
    except (IndexError, ValueError):
        reason = (result.stderr.strip().splitlines() or ["no output"])[-1]
        raise VerificationError(str(folders[0].parent), [f"the measuring process failed: {reason}"]) from None


def _main() -> None:
    from bert_serving.saved_model.reader import ExportedModel

    reference, *folders = map(Path, sys.argv[1:])
    texts = Reference.load(reference)
    models = [ExportedModel(folder) for folder in folders]
    batches = [texts.part(start, _BATCH) for start in range(0, len(texts.texts), _BATCH)][:_ROUND_BATCHES]
    seconds: list[list[float]] = [[] for _ in models]
    for number in range(_ROUNDS + 1):
        for model, found in zip(models, seconds, strict=True):
            started = time.perf_counter()
            for batch in batches:
                model.predict(batch.texts, batch.pairs)
            # In the first round kernels are compiled and buffers made.
            if number:
                found.append((time.perf_counter() - started) / len(batches))
    sys.stdout.write(json.dumps([statistics.median(each) for each in seconds]) + "\n")


if __name__ == "__main__":
    _main()
