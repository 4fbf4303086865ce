"""`bert-serving demo --few`: few rows of each label of the sample data, by contrastive training and by fine-tuning."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bert_serving.console import ConsoleObserver, show_lines, show_metrics, show_step

if TYPE_CHECKING:
    from bert_serving.config import RunConfig

CONTRASTIVE, FINE_TUNING, TFIDF = "contrastive", "fine_tuning", "tfidf_logistic_regression"

# So few steps need a larger number of epochs than the whole of the sample data.
_FINE_TUNING_EPOCHS = 10


def few_label_runs(config: "RunConfig", few: int) -> dict[str, "RunConfig"]:
    """Two runs on the same rows, `few` of each label, by training.method.

    The validation rows are those of the sample: fine-tuning keeps the best of its epochs on them, the contrastive run has one.
    """
    data = config.data.model_copy(update={"max_rows_per_label": few})
    changes: dict[str, dict[str, Any]] = {
        CONTRASTIVE: {"method": CONTRASTIVE, "epochs": 1},
        FINE_TUNING: {"epochs": _FINE_TUNING_EPOCHS},
    }
    return {
        method: config.model_copy(
            update={
                "data": data,
                "training": config.training.model_copy(update=change),
            }
        )
        for method, change in changes.items()
    }


def demo_few_labels(config: "RunConfig", few: int, out: Path, started: float) -> None:
    """Trains both runs and prints their scores on the test rows beside those of TF-IDF."""
    observer = ConsoleObserver()
    with observer.stage("Starting TensorFlow"):
        from bert_serving.training.run import train
    scores, seconds = {}, {}
    try:
        for number, (method, run) in enumerate(few_label_runs(config, few).items(), 1):
            show_step(number, f"Train on {few} messages of each label, training.method = {method}")
            began = time.monotonic()
            metrics = train(run, out / method, observer=observer).metrics
            seconds[method] = time.monotonic() - began
            scores[f"{method.replace('_', '-')} (test)"] = metrics["test"]
            scores["TF-IDF (test)"] = metrics["baselines"][TFIDF]
    finally:
        observer.close()
    show_metrics(f"Scores of {few} rows of each label", dict(sorted(scores.items())))
    times = ", ".join(f"{method} {value:.0f} s" for method, value in seconds.items())
    show_lines(
        f"\n  with evaluation and pictures: {times}"
        f"\n  export it: bert-serving export {out / CONTRASTIVE}"
        f"\n  done in {time.monotonic() - started:.0f} s"
    )
