"""Length-bucketed batches: texts of similar length together, padded to the longest of their batch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from bert_serving.contract import MASK, TOKEN_INPUTS, TYPE_IDS, WORD_IDS

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
    """

    words: np.ndarray
    types: np.ndarray
    offsets: np.ndarray
    padding: int = 0
    layer_outputs: np.ndarray | None = None

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.offsets) - 1

    @cached_property
    def lengths(self) -> np.ndarray:
        """Tokens of each row, int64 [rows]."""
        return np.diff(self.offsets)


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
    """

    batch_size: int
    seed: int = 0
    length: int | None = None
    length_step: int = 1
    longest: int | None = None
    drop_remainder: bool = False

    def order(self, lengths: np.ndarray, epoch: int) -> list[np.ndarray]:
        """Row numbers of each batch of an epoch: every row once, in a different order every epoch."""
        random = np.random.default_rng((self.seed, epoch))
        shuffled = random.permutation(len(lengths))
        window = self.batch_size * _WINDOW_BATCHES
        batches = []
        for start in range(0, len(shuffled), window):
            rows = shuffled[start : start + window]
            rows = rows[np.argsort(lengths[rows], kind="stable")]
            batches += [rows[i : i + self.batch_size] for i in range(0, len(rows), self.batch_size)]
        if self.drop_remainder:
            batches = [batch for batch in batches if len(batch) == self.batch_size]
        random.shuffle(batches)
        return batches


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


def padded_batch(
    rows: TokenRows,
    index: Sequence[int] | np.ndarray,
    *,
    length: int | None = None,
    length_step: int = 1,
    longest: int | None = None,
) -> dict[str, np.ndarray]:
    """A model's inputs for some rows: BERT's three, int32 [len(index), L]; or layer outputs, [len(index), L, H], and the mask.

    L is `length` or the longest row's, rounded up to at most `longest`.
    """
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
        A data set of known cardinality. With `slices` it begins again and again, its elements are the slices of this worker's
        replicas in turn, and the weights are float32 [B, 2]: weight of the row, and share of it in the mean over the batch.
    """
    import tensorflow as tf  # noqa: PLC0415  the data can be read and audited without it

    order = plan.order(rows.lengths, epoch)
    weights = np.ones(len(rows), np.float32) if weights is None else weights

    def batches() -> Iterator[tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]]:
        for batch in order:
            for index, share in slices.of(batch) if slices else [(batch, None)]:
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
    signature = (
        inputs,
        tf.TensorSpec([batch, *targets.shape[1:]], targets.dtype),
        tf.TensorSpec([batch] if slices is None else [batch, 2], tf.float32),
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
