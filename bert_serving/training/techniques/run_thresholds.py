"""Decision thresholds of a run, fitted on its validation rows and kept in its folder."""

import numpy as np

from bert_serving.contract import Head, Scaling
from bert_serving.data.splits import label_array
from bert_serving.data.table import LabeledTable
from bert_serving.evaluation.fitted_thresholds import ThresholdsFit, fit_thresholds
from bert_serving.training.run_folder import THRESHOLDS, RunFolder


def write_thresholds(
    run: RunFolder,
    head: Head,
    labels: tuple[str, ...],
    validation: LabeledTable,
    probabilities: np.ndarray,
    *,
    scaling: Scaling,
    seed: int,
) -> ThresholdsFit:
    """Fits thresholds and writes them to the run folder's thresholds.json.

    Args:
        run: the run folder.
        head: what the model predicts.
        labels: in the order of the outputs.
        validation: labeled rows, N of them.
        probabilities: the model's for these rows, float [N, C].
        scaling: by which they were made from logits.
        seed: of the run.

    Raises:
        InputError: a regression head; too few rows.
        RunFolderError: the folder cannot be written.
    """
    y_true = label_array(validation.labels, labels, head)
    fit = fit_thresholds(head, labels, y_true, probabilities, scaling=scaling, seed=seed)
    run.write_json(THRESHOLDS, fit.to_json())
    return fit
