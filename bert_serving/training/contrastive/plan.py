"""Batches of contrastive training: pairs of rows with the same label, so that each row has another one to be like."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from bert_serving.data.batches import BatchPlan, TokenRows

_ROWS_OF_A_RUN = 960
_FEWEST, _MOST = 3, 20


def iterations_of(rows: int, epochs: int) -> int:
    """How often an epoch compares each training row where the run file does not say it: less often the more rows there are.

    The comparisons of a row grow with the number of rows to compare it with: few rows are seen again and again, with other rows
    each time; of many each is seen a few times.

    Args:
        rows: number of training rows.
        epochs: of the run.

    Returns:
        At least 1; over all epochs about 20, up to 48 rows, to 3, from 320 rows on.
    """
    return max(1, round(min(max(_ROWS_OF_A_RUN / rows, _FEWEST), _MOST) / epochs))


@dataclass(frozen=True)
class ContrastivePlan(BatchPlan):
    """How an epoch of contrastive training is divided into batches.

    Attributes:
        targets: of the rows, as `targets_of` makes them.
        iterations: how often an epoch has each row.
    """

    targets: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int32))
    iterations: int = 1

    def batches(self, rows: TokenRows, epoch: int) -> list[np.ndarray]:  # noqa: ARG002  all rows meet all others
        """Row numbers of each batch of an epoch: pairs of rows with a common label, in a different order every epoch.

        Each row is in one pair of an iteration; of a label with an odd number of rows one is in a second pair. A label's only
        row is paired with itself: dropout makes two vectors of it (Gao et al. 2021, https://arxiv.org/abs/2104.08821).

        Args:
            rows: the training rows; their lengths are not used, as rows of similar length would be compared with each other alone.
            epoch: its number.
        """
        random = np.random.default_rng((self.seed, epoch))
        batches = []
        for _ in range(self.iterations):
            pairs = np.asarray(list(self._pairs(random)))
            random.shuffle(pairs)
            count = -(-len(pairs) // (self.batch_size // 2))
            batches += [part.reshape(-1) for part in np.array_split(pairs, count)]
        return batches

    def _pairs(self, random: np.random.Generator) -> Iterator[np.ndarray]:
        groups = self._groups(random)
        for group in np.unique(groups):
            rows = random.permutation(np.flatnonzero(groups == group))
            if len(rows) % 2:
                rows = np.append(rows, rows[0])
            yield from rows.reshape(-1, 2)

    def _groups(self, random: np.random.Generator) -> np.ndarray:
        """A label of each row; of several one that is drawn, of none -1."""
        if self.targets.ndim == 1 or self.targets.shape[1] == 1:
            return self.targets.reshape(-1).astype(int)
        drawn = np.where(self.targets > 0, random.random(self.targets.shape), -1.0)
        return np.where(drawn.max(axis=1) > 0, drawn.argmax(axis=1), -1)
