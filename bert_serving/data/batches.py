"""Length-bucketed batches: texts of similar length together, padded to the longest of their batch."""

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from bert_serving.contract import MASK, TOKEN_INPUTS, TYPE_IDS, WINDOW_COUNTS, WORD_IDS

if TYPE_CHECKING:
    import tensorflow as tf

# Batches sorted together: large enough for similar lengths within a batch, small enough for a well shuffled epoch.
_WINDOW_BATCHES = 50
# XLA compiles each shape once; lengths are rounded up to a multiple of this.
XLA_LENGTH_STEP = 32
LAYER_OUTPUT = "layer_output"
"""model input of rows with the outputs of frozen layers, beside the mask"""


@dataclass(frozen=True)
class TokenRows:
    """Tokenized texts, concatenated.

    Attributes:
        words: word ids, int32 [tokens].
        types: type ids, int32 [tokens].
        offsets: start of each row, int64 [rows + 1].
        padding: id of the padding token.
        layer_outputs: output of the encoder's frozen layers for each token, float32 [tokens, H], which a model takes in place of
            the ids; None for a model that takes the ids.
        window_offsets: start of each window, int64 [windows + 1], where a text is read in windows: its row holds them one after
            the other, and a model takes each as a row of its own. None where a text is one row.
    """

    words: np.ndarray
    types: np.ndarray
    offsets: np.ndarray
    padding: int = 0
    layer_outputs: np.ndarray | None = None
    window_offsets: np.ndarray | None = None

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.offsets) - 1

    @cached_property
    def lengths(self) -> np.ndarray:
        """Tokens of each row, int64 [rows]."""
        return np.diff(self.offsets)

    @cached_property
    def windows(self) -> "TokenRows":
        """The rows that a model takes: each window a row; the rows themselves where a text is one."""
        if self.window_offsets is None:
            return self
        return dataclasses.replace(self, offsets=self.window_offsets, window_offsets=None)

    @cached_property
    def first_windows(self) -> np.ndarray:
        """Number of the first window of each row, and at the end the number of all windows, int64 [rows + 1]."""
        if self.window_offsets is None:
            return np.arange(len(self.offsets))
        # Each window has [CLS] and [SEP], so no two of them begin at the same token.
        return np.searchsorted(self.window_offsets, self.offsets)

    @cached_property
    def window_counts(self) -> np.ndarray:
        """Windows of each row, int64 [rows]."""
        counts: np.ndarray = np.diff(self.first_windows)
        return counts

    @cached_property
    def widths(self) -> np.ndarray:
        """Tokens of the longest window of each row, which is its first, int64 [rows]."""
        widths: np.ndarray = self.windows.lengths[self.first_windows[:-1]]
        return widths


@dataclass(frozen=True)
class BatchPlan:
    """How an epoch is divided into batches.

    Attributes:
        batch_size: rows of a batch; the last one may be smaller.
        seed: determines the order, together with the epoch's number.
        length: pad every batch to it; None pads to the longest row of the batch.
        length_step: round padded lengths up to a multiple of it.
        longest: limit of rounding up; None for no limit.
        drop_remainder: leave out the last, smaller batch (a TPU needs one shape).
        max_tokens: most tokens of a batch, padding included, unless it has one row; None for no bound.
    """

    batch_size: int
    seed: int = 0
    length: int | None = None
    length_step: int = 1
    longest: int | None = None
    drop_remainder: bool = False
    max_tokens: int | None = None

    def batches(self, rows: TokenRows, epoch: int) -> list[np.ndarray]:
        """Row numbers of each batch of an epoch, as `order`, for rows that may have windows."""
        return self.order(rows.lengths, epoch, counts=rows.window_counts, widths=rows.widths)

    def order(
        self,
        lengths: np.ndarray,
        epoch: int,
        *,
        counts: np.ndarray | None = None,
        widths: np.ndarray | None = None,
    ) -> list[np.ndarray]:
        """Row numbers of each batch of an epoch: every row once, in a different order every epoch.

        Args:
            lengths: tokens of each row, int64 [N].
            epoch: its number.
            counts: windows of each row, int64 [N]; None for one.
            widths: tokens of the longest window of each row, int64 [N]; None for all tokens of the row.
        """
        random = np.random.default_rng((self.seed, epoch))
        shuffled = random.permutation(len(lengths))
        window = self.batch_size * _WINDOW_BATCHES
        batches = []
        for start in range(0, len(shuffled), window):
            rows = shuffled[start : start + window]
            rows = rows[np.argsort(lengths[rows], kind="stable")]
            if self.max_tokens is None:
                batches += [rows[i : i + self.batch_size] for i in range(0, len(rows), self.batch_size)]
                continue
            padded = self._padded(lengths if widths is None else widths)
            batches += bounded_batches(rows, self.batch_size, self.max_tokens, padded, counts)
        if self.drop_remainder:
            batches = [batch for batch in batches if len(batch) == self.batch_size]
        random.shuffle(batches)
        return batches

    def _padded(self, widths: np.ndarray) -> np.ndarray:
        """Columns of a batch whose longest window has so many tokens."""
        if self.length is not None:
            return np.full_like(widths, self.length)
        rounded = -(-widths // self.length_step) * self.length_step
        return rounded if self.longest is None else np.maximum(widths, np.minimum(rounded, self.longest))


@dataclass(frozen=True)
class Slices:
    """Which parts of each batch a worker makes, where several machines share the rows of a training step.

    Attributes:
        first: number of this worker's first replica.
        count: replicas of this worker: one for each of its devices.
        total: replicas of all workers.
    """

    first: int
    count: int
    total: int

    def of(self, batch: np.ndarray) -> Iterator[tuple[np.ndarray, float]]:
        """For each replica: its rows, and the share of one row in the mean over the batch.

        Every row is in one slice; their sizes differ by one at most. A replica without rows gets one that does not count, as it
        must take part in every step.
        """
        for part in range(self.first, self.first + self.count):
            # The rows of a batch are in order of length: each replica gets short ones and long ones.
            rows = batch[part :: self.total]
            yield (rows, 1 / len(batch)) if len(rows) else (batch[:1], 0.0)


def sorted_batches(lengths: np.ndarray, batch_size: int) -> list[np.ndarray]:
    """Row numbers in batches of similar length, longest first, so that a lack of memory shows at once."""
    order = np.argsort(-lengths, kind="stable")
    return [order[i : i + batch_size] for i in range(0, len(order), batch_size)]


def bounded_batches(
    order: np.ndarray, batch_size: int, max_tokens: int, widths: np.ndarray, counts: np.ndarray | None = None
) -> list[np.ndarray]:
    """Row numbers in their order, in batches of at most `batch_size` rows and, padded, `max_tokens` tokens.

    Args:
        order: row numbers, int64 [M].
        batch_size: rows of a batch at most.
        max_tokens: tokens of a batch at most, unless it has one row.
        widths: tokens of the longest window of each row, to which those of a batch are padded, int64 [N].
        counts: windows of each row, int64 [N]; None for one.
    """
    batches, start, windows, width = [], 0, 0, 0
    for place, row in enumerate(order):
        own = 1 if counts is None else int(counts[row])
        windows, width = windows + own, max(width, int(widths[row]))
        if place > start and (place - start == batch_size or windows * width > max_tokens):
            batches.append(order[start:place])
            start, windows, width = place, own, int(widths[row])
    return [*batches, order[start:]] if len(order) else []


def padded_batch(
    rows: TokenRows,
    index: Sequence[int] | np.ndarray,
    *,
    length: int | None = None,
    length_step: int = 1,
    longest: int | None = None,
) -> dict[str, np.ndarray]:
    """A model's inputs for some rows: BERT's three, int32 [len(index), L]; or layer outputs, [len(index), L, H], and the mask.

    Rows with windows have a row for each window, [W, L], and the number of windows of each, int32 [len(index)]. L is `length` or
    the longest row's, rounded up to at most `longest`.
    """
    if rows.window_offsets is not None:
        counts, first = rows.window_counts[index], rows.first_windows[:-1][index]
        windows = np.arange(counts.sum()) + np.repeat(first - (np.cumsum(counts) - counts), counts)
        batch = padded_batch(rows.windows, windows, length=length, length_step=length_step, longest=longest)
        return {**batch, WINDOW_COUNTS: counts.astype(np.int32)}
    lengths = rows.lengths[index]
    needed = int(lengths.max()) if len(lengths) else 0
    rounded = -(-needed // length_step) * length_step
    columns = length or (rounded if longest is None else max(needed, min(rounded, longest)))
    mask = np.arange(columns) < lengths[:, None]
    if rows.layer_outputs is not None:
        outputs = np.zeros((*mask.shape, rows.layer_outputs.shape[1]), np.float32)
        for row, i in enumerate(index):
            outputs[row, : lengths[row]] = rows.layer_outputs[rows.offsets[i] : rows.offsets[i + 1]]
        return {LAYER_OUTPUT: outputs, MASK: mask.astype(np.int32)}
    batch = {
        WORD_IDS: np.full(mask.shape, rows.padding, np.int32),
        MASK: mask.astype(np.int32),
        TYPE_IDS: np.zeros(mask.shape, np.int32),
    }
    for row, i in enumerate(index):
        tokens = slice(rows.offsets[i], rows.offsets[i + 1])
        batch[WORD_IDS][row, : lengths[row]] = rows.words[tokens]
        batch[TYPE_IDS][row, : lengths[row]] = rows.types[tokens]
    return batch


def epoch_dataset(
    rows: TokenRows,
    targets: np.ndarray,
    weights: np.ndarray | None,
    plan: BatchPlan,
    epoch: int,
    slices: Slices | None = None,
) -> "tf.data.Dataset":
    """One epoch of training batches `(inputs, targets, sample weights)` as a `tf.data.Dataset`.

    Args:
        rows: all training rows.
        targets: of each row.
        weights: of each row, float32 [N]; None for equal weights.
        plan: of the batches.
        epoch: its number.
        slices: this worker's parts of each batch; None for whole batches.

    Returns:
        A data set of known cardinality. With `slices` it begins again and again, and its elements are the slices of this worker's
        replicas in turn. With `slices` or `plan.max_tokens` the weights are float32 [B, 2]: weight of the row, and share of it in
        the mean over the batch. With `plan.max_tokens` it is the same in all batches, one by their mean size: so a row counts as
        much in a small batch as in a large one.
    """
    import tensorflow as tf  # noqa: PLC0415  the data can be read and audited without it

    order = plan.batches(rows, epoch)
    is_bounded = plan.max_tokens is not None
    weights = np.ones(len(rows), np.float32) if weights is None else weights

    def batches() -> Iterator[tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]]:
        for batch in order:
            for index, own_share in slices.of(batch) if slices else [(batch, None)]:
                share = own_share if not is_bounded or own_share == 0 else len(order) / len(rows)
                inputs = padded_batch(
                    rows, index, length=plan.length, length_step=plan.length_step, longest=plan.longest
                )
                weight = weights[index]
                if share is not None:
                    weight = np.stack([weight, np.full(len(index), share, np.float32)], axis=1)
                yield inputs, targets[index], weight

    batch = plan.batch_size if plan.drop_remainder else None
    inputs = {name: tf.TensorSpec([batch, plan.length], tf.int32) for name in TOKEN_INPUTS}
    if rows.layer_outputs is not None:
        width = rows.layer_outputs.shape[1]
        inputs = {LAYER_OUTPUT: tf.TensorSpec([batch, plan.length, width], tf.float32), MASK: inputs[MASK]}
    if rows.window_offsets is not None:
        inputs[WINDOW_COUNTS] = tf.TensorSpec([batch], tf.int32)
    signature = (
        inputs,
        tf.TensorSpec([batch, *targets.shape[1:]], targets.dtype),
        tf.TensorSpec([batch, 2] if slices or is_bounded else [batch], tf.float32),
    )
    dataset = tf.data.Dataset.from_generator(batches, output_signature=signature)
    options = tf.data.Options()
    # Autotuning sleeps 10 ms, 20 ms, 40 ms and so on up to a minute, and an iterator waits for it to end: an epoch of 11 s would
    # take 20.5 s. There is nothing to tune here.
    options.autotune.enabled = False
    # The rows come from memory: several devices divide them by row, not by file.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    known = tf.data.experimental.assert_cardinality(len(order))
    # Of the end of a data set all workers would have to tell each other in every step.
    dataset = dataset.apply(known) if slices is None else dataset.repeat()
    return dataset.prefetch(4).with_options(options)
