"""Two servers, or two versions of one, asked the same: do they agree, and how long does each take?"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

Predict = Callable[[Sequence[str], Sequence[str] | None], np.ndarray]
_WARMUP = 3


@dataclass(frozen=True)
class Shadow:
    """Answers of two servers to the same texts.

    Attributes:
        texts: what was asked, N.
        first: probabilities of the first, float32 [N, C].
        second: probabilities of the second, float32 [N, C].
        seconds: of each request, float64 [2, N].
    """

    texts: Sequence[str]
    first: np.ndarray
    second: np.ndarray
    seconds: np.ndarray

    @property
    def changed(self) -> np.ndarray:
        """Rows with another label, int64, those first in which the probabilities differ most."""
        rows = np.flatnonzero(self.first.argmax(axis=1) != self.second.argmax(axis=1))
        return rows[np.argsort(-self.differences[rows], kind="stable")]

    @property
    def agreement(self) -> float:
        """Share of texts with the same label."""
        return 1 - len(self.changed) / len(self.texts)

    @property
    def differences(self) -> np.ndarray:
        """Largest difference of a probability of each text, float32 [N]."""
        return np.abs(self.first - self.second).max(axis=1)

    @property
    def shares(self) -> tuple[np.ndarray, np.ndarray]:
        """How often each label is answered, by each of the two: float64 [C]."""
        classes = self.first.shape[1]
        counts = [
            np.bincount(each.argmax(axis=1), minlength=classes) / len(self.texts) for each in (self.first, self.second)
        ]
        return counts[0], counts[1]

    def milliseconds(self, which: int, percentile: float) -> float:
        """Latency of the first (0) or the second (1)."""
        return float(1000 * np.percentile(self.seconds[which], percentile))


def shadow(first: Predict, second: Predict, texts: Sequence[str], pairs: Sequence[str] | None) -> Shadow:
    """Asks both for one text at a time, in turns; who is first changes, so that neither has the warmer machine.

    Args:
        first: the one that serves.
        second: the one that might.
        texts: what to ask, at least one.
        pairs: second texts, or None.
    """
    subjects = (first, second)
    for row in range(min(_WARMUP, len(texts))):
        for subject in subjects:
            subject(texts[row : row + 1], None if pairs is None else pairs[row : row + 1])
    answers: list[list[np.ndarray]] = [[], []]
    seconds = np.zeros((2, len(texts)))
    for row in range(len(texts)):
        for which in (0, 1) if row % 2 else (1, 0):
            started = time.perf_counter()
            answer = subjects[which](texts[row : row + 1], None if pairs is None else pairs[row : row + 1])
            seconds[which, row] = time.perf_counter() - started
            answers[which].append(answer[0])
    return Shadow(texts, np.array(answers[0]), np.array(answers[1]), seconds)
