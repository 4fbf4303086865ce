"""Decision thresholds of a run, fitted on its validation rows."""

import numpy as np

from bert_serving.contract import Head
from bert_serving.data.splits import label_array
from bert_serving.data.table import LabeledTable
from bert_serving.evaluation.fitted_thresholds import ThresholdsFit, fit_thresholds


def thresholds_of(
    head: Head, labels: tuple[str, ...], validation: LabeledTable, probabilities: np.ndarray, seed: int
) -> ThresholdsFit:
    """Fits thresholds on labeled rows.

    Args:
        head: what the model predicts.
        labels: in the order of the outputs.
        validation: labeled rows, N of them.
        probabilities: the model's for these rows, float [N, C].
        seed: of the run.

    Raises:
        InputError: a regression head; too few rows.
    """
    return fit_thresholds(head, labels, label_array(validation.labels, labels, head), probabilities, seed=seed)
