"""The windows of a long text: overlapping pieces of it that each fit into the sequence length.

A text of T tokens, [CLS] and [SEP] not counted, has one window of all its tokens where they fit. Otherwise window k begins at
token k * stride, and the last one ends with the text: it may be shorter than the others, but never has the overlap alone.
"""

import dataclasses
from dataclasses import dataclass

import numpy as np

from bert_serving.config import DataConfig
from bert_serving.contract import LongTexts
from bert_serving.data.batches import TokenRows

DEFAULT_MAX_WINDOWS = 32
"""windows of a text at most"""
_OVERLAP_PART = 8
_FRAME = 2


def default_overlap(sequence_length: int) -> int:
    """Tokens that neighboring windows share by default: an eighth of the sequence length."""
    return sequence_length // _OVERLAP_PART


@dataclass(frozen=True)
class WindowPlan:
    """How texts are divided into windows.

    Attributes:
        sequence_length: most tokens of a window, [CLS] and [SEP] included.
        overlap: tokens that neighboring windows share.
        most: windows of a text at most; of a longer text evenly spaced ones, the first and the last among them.
    """

    sequence_length: int
    overlap: int
    most: int = DEFAULT_MAX_WINDOWS

    @property
    def inside(self) -> int:
        """Most tokens of the text in a window."""
        return self.sequence_length - _FRAME

    @property
    def stride(self) -> int:
        """Tokens from the start of a window to that of the next."""
        return self.inside - self.overlap

    @property
    def reach(self) -> int:
        """Tokens, [CLS] and [SEP] included, of the longest text that is read whole."""
        return self.sequence_length + (self.most - 1) * self.stride

    def needed(self, tokens: np.ndarray) -> np.ndarray:
        """Windows of texts, not limited to `most`, int64 [N].

        Args:
            tokens: of each text, [CLS] and [SEP] not counted, int64 [N].
        """
        needed: np.ndarray = 1 + -(-np.maximum(tokens - self.inside, 0) // self.stride)
        return needed


def plan_windows(data: DataConfig, sequence_length: int) -> WindowPlan | None:
    """The plan of a run file's table `data`; None where it does not read texts in windows."""
    if data.long_texts is not LongTexts.WINDOWS:
        return None
    overlap = default_overlap(sequence_length) if data.window_overlap is None else data.window_overlap
    return WindowPlan(sequence_length, overlap, data.max_windows or DEFAULT_MAX_WINDOWS)


def windowed(rows: TokenRows, plan: WindowPlan) -> TokenRows:
    """Tokenized texts, each whole in its frame of [CLS] and [SEP], as windows with frames of their own.

    Args:
        rows: one row for each text, without types other than 0.
        plan: of the windows.
    """
    contents = rows.lengths - _FRAME
    needed = plan.needed(contents)
    counts = np.minimum(needed, plan.most)
    text = np.repeat(np.arange(len(rows)), counts)
    number = np.arange(len(text)) - np.repeat(np.cumsum(counts) - counts, counts)
    # Evenly spaced among those needed, rounded to the nearest.
    gaps = 2 * np.maximum(counts - 1, 1)
    spaced = (2 * number * (needed - 1)[text] + gaps[text] // 2) // gaps[text]
    start = spaced * plan.stride
    inside = np.minimum(contents[text] - start, plan.inside)
    window_offsets = np.concatenate([[0], np.cumsum(inside + _FRAME)])
    # Token 0 of a window is [CLS], the last one [SEP]; those between are the text's.
    window = np.repeat(np.arange(len(text)), inside + _FRAME)
    place = np.arange(window_offsets[-1]) - window_offsets[window]
    source = rows.offsets[text][window] + np.where(place == 0, 0, start[window] + place)
    source = np.where(place == inside[window] + 1, rows.offsets[text + 1][window] - 1, source)
    return dataclasses.replace(
        rows,
        words=rows.words[source],
        types=rows.types[source],
        offsets=window_offsets[np.concatenate([[0], np.cumsum(counts)])],
        window_offsets=window_offsets,
    )


def windows_line(rows: TokenRows) -> str:
    """How many windows training texts have, in one line for people."""
    counts = rows.window_counts
    several = int((counts > 1).sum())
    return (
        f"windows: {several:,} of {len(rows):,} training texts have more than one, {counts.mean():.1f} on average, "
        f"{counts.max(initial=0)} at most"
    )
