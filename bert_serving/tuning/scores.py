"""The validation score by which runs are compared: that of the weights that a run keeps."""

from bert_serving.training.loop import best_epoch
from bert_serving.training.run_folder import AVERAGE, HISTORY, RunFolder


def validation_score(run: RunFolder, metric: str) -> float:
    """The validation metric of the weights that a complete run keeps: of its best epoch, or of the averaged weights.

    Args:
        run: the run's folder.
        metric: name of the metric, such as "accuracy" or "loss".

    Raises:
        RunFolderError: a file is missing or damaged.
    """
    if (run.path / AVERAGE).is_file():
        average = run.read_json(AVERAGE)
        if average["kept"]:
            return float(average[f"val_{metric}"])
    history = run.read_json(HISTORY)
    row = next(row for row in history if row["epoch"] == best_epoch(history, metric))
    return float(row[f"val_{metric}"])
