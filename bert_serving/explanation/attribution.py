"""The explanation of one prediction: the attribution of each word."""

from dataclasses import dataclass

import numpy as np

from bert_serving import notebook
from bert_serving.contract import Head

TOLERANCE = 0.02
"""the sum of the attributions may miss the change of the logit by this share of it"""

# Sums of float32 products are no more precise than this where the logit hardly changes.
_ROUNDING = 1e-3


@dataclass(frozen=True)
class Word:
    """A word of the text.

    Attributes:
        text: as written in the text.
        attribution: its contribution to the logit; None where the sequence length cut it off.
        after_space: whether white space precedes it.
        segment: 0, or 1 in the second text of a pair.
    """

    text: str
    attribution: float | None
    after_space: bool
    segment: int


@dataclass(frozen=True)
class ExplainedWindow:
    """A window of a long text.

    Attributes:
        first: number of its first word.
        last: number of its last word; neighboring windows share some.
        logit: that the head gives for this window alone.
        weight: its share in the text's vector, where windows are pooled by attention; else None.
    """

    first: int
    last: int
    logit: float
    weight: float | None


@dataclass(frozen=True)
class Explanation:
    """The attributions of the words of one text to a classifier's logit.

    Attributes:
        head: what the classifier predicts.
        texts: the text, and the second one of a pair.
        labels: C names, in the order of `probabilities`.
        probabilities: float32 [C]; for regression the value itself, [1].
        label: the label whose logit is explained.
        words: in the order of the text.
        logit: of `label`.
        baseline_logit: the same with [MASK] for every word piece.
        steps: points of the path at which gradients were taken.
        cut_at: tokens that are read of a text at most, if words were left out; else None.
        windows: of a text that is read in several; empty for others.
    """

    head: Head
    texts: tuple[str, ...]
    labels: tuple[str, ...]
    probabilities: np.ndarray
    label: str
    words: tuple[Word, ...]
    logit: float
    baseline_logit: float
    steps: int
    cut_at: int | None
    windows: tuple[ExplainedWindow, ...] = ()

    @property
    def deciding(self) -> int | None:
        """Number of the window with the greatest weight, or without weights the highest logit; None for a text of one window."""
        if not self.windows:
            return None
        return int(np.argmax([each.logit if each.weight is None else each.weight for each in self.windows]))

    def window_text(self, number: int, most: int = 8) -> str:
        """The words of a window as they stand in the text, at most so many from its beginning and its end."""
        window = self.windows[number]
        words = self.words[window.first : window.last + 1]
        parts = [words] if len(words) <= 2 * most else [words[:most], words[-most:]]
        joined = ("".join(" " * word.after_space + word.text for word in part).strip() for part in parts)
        return " ... ".join(joined)

    @property
    def change(self) -> float:
        """The change of the logit from the baseline to the text."""
        return self.logit - self.baseline_logit

    @property
    def total(self) -> float:
        """Sum of the attributions."""
        return sum(word.attribution for word in self.words if word.attribution is not None)

    @property
    def gap(self) -> float:
        """Difference between the sum and the change, as a share of the change."""
        return abs(self.total - self.change) / max(abs(self.change), _ROUNDING / TOLERANCE)

    @property
    def weights(self) -> tuple[float | None, ...]:
        """The attributions relative to the greatest, from -1 to 1; None for words that were cut off."""
        greatest = max((abs(word.attribution) for word in self.words if word.attribution is not None), default=0) or 1
        return tuple(None if word.attribution is None else word.attribution / greatest for word in self.words)

    @property
    def ranking(self) -> tuple[Word, ...]:
        """The words that the model read, greatest attribution first."""
        read = [word for word in self.words if word.attribution is not None]
        return tuple(sorted(read, key=lambda word: -abs(word.attribution or 0)))

    @property
    def is_complete(self) -> bool:
        """Whether the attributions add up to the change within `TOLERANCE`."""
        return self.gap <= TOLERANCE

    def _repr_html_(self) -> str:
        shares = [f"{name} {value:.3f}" for name, value in zip(self.labels, self.probabilities.tolist(), strict=True)]
        words = [
            (" " if word.after_space else "") + notebook.colored(word.text, weight)
            for word, weight in zip(self.words, self.weights, strict=True)
        ]
        lead = f"<b>{notebook.text(self.label)}</b> ({notebook.text(', '.join(shares))}): blue raises its logit, orange lowers it"
        return f"<div>{lead}</div><div>{''.join(words)}</div>"
