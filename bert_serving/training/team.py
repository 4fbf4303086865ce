"""What the workers of a job do together: each scores its share of the validation rows, and all get the sum."""

import contextlib
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from tensorflow.python.eager import context

from bert_serving.classifier import Classifier
from bert_serving.data.batches import Slices, TokenRows
from bert_serving.errors import WorkerError, WorkerLostError
from bert_serving.training.meeting import Meeting
from bert_serving.training.strategy import LOST_WORKER

# What TensorFlow writes before the reason.
_NODE = re.compile(r"^(\{\{.*?\}\} ?)?(Collective ops is aborted by: ?)?")


@dataclass(frozen=True)
class Team:
    """The workers that train together, once TensorFlow has connected them.

    Attributes:
        strategy: a `MultiWorkerMirroredStrategy`.
        meeting: of the workers.
        last_epoch: the last complete one, after which they go on; 0 for none.
    """

    strategy: tf.distribute.Strategy
    meeting: Meeting
    last_epoch: int

    @property
    def is_chief(self) -> bool:
        """Whether this worker writes the run folder."""
        return self.meeting.cluster.is_chief

    @property
    def slices(self) -> Slices:
        """This worker's parts of each training batch."""
        total = self.strategy.num_replicas_in_sync
        count = total // len(self.meeting.cluster.addresses)
        return Slices(self.meeting.cluster.index * count, count, total)

    def summed(self, values: np.ndarray) -> np.ndarray:
        """The sum of all workers' arrays of one shape, float32."""
        index = self.slices.first

        def contribution(array: tf.Tensor) -> tf.Tensor:
            replica = tf.distribute.get_replica_context()
            # Of several devices, the first one speaks for the worker.
            factor = tf.cast(replica.replica_id_in_sync_group == index, tf.float32)
            return replica.all_reduce(tf.distribute.ReduceOp.SUM, array * factor)

        run = tf.function(lambda array: self.strategy.run(contribution, args=(array,)), autograph=False)
        total = run(tf.constant(values, tf.float32))
        summed: np.ndarray = self.strategy.experimental_local_results(total)[0].numpy()
        return summed

    def gathered(self, values: np.ndarray) -> np.ndarray:
        """Each worker's array, by the number of the worker; float32 [workers, ...]."""
        rows = np.zeros((len(self.meeting.cluster.addresses), *values.shape), np.float32)
        rows[self.meeting.cluster.index] = values
        return self.summed(rows)

    def predict(self, classifier: Classifier, rows: TokenRows) -> np.ndarray:
        """`Classifier.predict_tokens`, of which each worker does a part; float32 [N, outputs]."""
        # In order of length, so that all workers get as much to do.
        mine = np.argsort(rows.lengths, kind="stable")[
            self.meeting.cluster.index :: len(self.meeting.cluster.addresses)
        ]
        return self.summed(classifier.predict_tokens(rows, only=mine))


@contextlib.contextmanager
def leaving_lost_workers(meeting: Meeting) -> Iterator[None]:
    """Turns TensorFlow's errors about lost workers into what ended the round.

    Raises:
        InputError, TrainingError: another worker ended with an error.
        WorkerLostError: a worker was lost.
    """
    try:
        yield
    except WorkerLostError:
        meeting.check(patient=True)
        raise
    except tf.errors.OpError as error:
        meeting.check(patient=True)
        if not isinstance(error, LOST_WORKER):
            raise
        reason = _NODE.sub("", (str(error).splitlines() or [type(error).__name__])[0])
        raise WorkerLostError(f"another worker was lost: {reason[:200]}") from None


def abort_collectives(reason: str) -> None:
    """Makes operations that wait for other workers fail, in whatever thread they are."""
    # Before TensorFlow has started there is nothing to abort.
    with contextlib.suppress(Exception):
        context.context().abort_collective_ops(tf.errors.UNAVAILABLE, reason)


def end_process(reason: str) -> None:
    """Ends this process at once, with the status of `WorkerError`, and one line."""
    sys.stderr.write(f"error: {reason}\n")
    sys.stderr.flush()
    os._exit(WorkerError.exit_status)
