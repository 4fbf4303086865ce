"""The training loop: Keras' `fit`, one epoch at a time, with a checkpoint and a validation after each."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import tensorflow as tf
import tf_keras
from safetensors import SafetensorError
from safetensors.numpy import save_file
from sklearn.metrics import accuracy_score, f1_score

from bert_serving.answers import predicted_labels
from bert_serving.classifier import Classifier, loss_of, probabilities
from bert_serving.config import TrainingConfig
from bert_serving.contract import Head
from bert_serving.data.batches import XLA_LENGTH_STEP, BatchPlan, TokenRows, epoch_dataset
from bert_serving.encoders.dropout import reseed_dropout
from bert_serving.errors import TrainingError
from bert_serving.metrics import correlation
from bert_serving.observer import Observer
from bert_serving.training.adversarial import adversarial_train_step
from bert_serving.training.averaging import assign_average
from bert_serving.training.checkpoints import read, restore, save
from bert_serving.training.contrastive.plan import ContrastivePlan, iterations_of
from bert_serving.training.contrastive.training import ContrastiveTraining
from bert_serving.training.learning_model import Learning
from bert_serving.training.optimizer import check_decay_exclusions, create_optimizer, plan_schedule
from bert_serving.training.run_folder import AVERAGE, HISTORY, RunFolder
from bert_serving.training.shared_step import shared_train_step
from bert_serving.training.team import Team
from bert_serving.training.techniques.layer_rates import layer_rates

# Of class-balanced weights (arXiv:1901.05555, beta): one of the four values that the authors search.
_SHARE_OF_NEW = 0.999


@dataclass(frozen=True)
class Examples:
    """Tokenized texts with their targets.

    Attributes:
        rows: token ids.
        targets: int32 [N] for softmax, else float32 [N, outputs].
        weights: one for each row, float32 [N]; None for equal weights.
    """

    rows: TokenRows
    targets: np.ndarray
    weights: np.ndarray | None = None


def class_weights(targets: np.ndarray, classes: int, kind: Literal[True, "effective_number"] = True) -> np.ndarray:
    """Weight of each row, float32 [N], with a mean of 1.

    Args:
        targets: numbers of the rows' classes, [N] or [N, 1].
        classes: number of classes.
        kind: `True` for N / (C * rows of its class), so that every class has the same total weight; "effective_number" for
            weights in proportion to (1 - b) / (1 - b ** rows of its class), b = 0.999: the class-balanced loss of Cui et al.
            2019 (https://arxiv.org/abs/1901.05555), equation 4.
    """
    numbers = targets.reshape(-1).astype(int)
    counts = np.bincount(numbers, minlength=classes)
    if kind == "effective_number":
        weights = (1 - _SHARE_OF_NEW) / (1 - _SHARE_OF_NEW ** counts[numbers])
        return np.asarray(weights / weights.mean(), np.float32)
    return np.asarray(len(numbers) / (np.count_nonzero(counts) * counts[numbers]), np.float32)


def fit(
    classifier: Classifier,
    *,
    train: Examples,
    validation: Examples,
    config: TrainingConfig,
    best_metric: str,
    run: RunFolder,
    strategy: tf.distribute.Strategy,
    observer: Observer,
    learning: Learning | None = None,
    team: Team | None = None,
) -> list[dict[str, Any]]:
    """Trains the classifier, writes its best epoch's weights into the run folder, and returns the history.

    Training is resumed after the last checkpoint in the folder. Order of rows and dropout masks depend on seed and epoch alone,
    so that a resumed run ends with the same weights as an uninterrupted one.

    Args:
        classifier: whose weights are kept.
        train: rows to learn from.
        validation: rows that decide which epoch is the best.
        config: how to train.
        best_metric: name of the validation metric that decides it.
        run: the run folder.
        strategy: of distribution.
        observer: told of the progress.
        learning: the classifier as it is trained and validated, with the same variables; None for `classifier` itself.
        team: the workers that train together, of which the chief writes the run folder; None for one process.

    Raises:
        TrainingError: the loss is not a finite number.
        RunFolderError: the folder cannot be written.
    """
    learning = learning or Learning(classifier, classifier)
    model, trained, rows = classifier.token_model, learning.trained, learning.rows(train.rows)
    contrast = ContrastiveTraining(trained, learning.validated) if config.method == "contrastive" else None
    plan = _batch_plan(config, classifier, train)
    # Without a bound on its tokens, the number of batches is the same in every epoch: one is counted for all.
    counted = [0] if plan.max_tokens is None else range(1, config.epochs + 1)
    orders = [plan.batches(train.rows, epoch) for epoch in counted]
    steps_of = [len(order) for order in orders] * (config.epochs // len(orders))
    shown = len(train.rows) if contrast is None else sum(map(len, orders[0]))
    trainable = bool(classifier.encoder.layer.trainable)
    width = model.get_layer("head").input_shape[-1]
    schedule = plan_schedule(config, steps=sum(steps_of), width=width, trainable=trainable)
    with strategy.scope():
        rates = layer_rates(classifier.encoder, config.layerwise_learning_rate_decay)
        optimizer = create_optimizer(schedule, config, rates)
        check_decay_exclusions(optimizer, model.trainable_variables)
        _compile(trained, optimizer, config)
        mean_loss = tf_keras.metrics.Mean("loss")
        if contrast is not None:
            trained.token_model.train_step = contrast.train_step(mean_loss)
        elif config.adversarial_epsilon:
            trained.token_model.train_step = adversarial_train_step(trained.token_model, config.adversarial_epsilon)
        elif team is not None or plan.max_tokens is not None:
            loss = loss_of(classifier.options.head, config.label_smoothing)
            trained.token_model.train_step = shared_train_step(trained.token_model, loss, mean_loss)
            # Metrics are those of all workers already; by default Keras adds them up.
            trained.token_model.distribute_reduction_method = "first"
        # For all variables at once: earlier checkpoints would lack those that gradual unfreezing adds later.
        optimizer._create_all_weights(learning.variables(model))  # noqa: SLF001  Keras has no public call for it
        checkpoint = tf.train.Checkpoint(model=model, optimizer=optimizer, **learning.tables)
    is_writer = team is None or team.is_chief
    history = restore(checkpoint, run, None if team is None else team.last_epoch)
    for epoch in range(len(history) + 1, config.epochs + 1):
        if _patience_is_over(history, best_metric, config.early_stopping):
            observer.note(f"stopped early: no better {best_metric} for {config.early_stopping} epochs")
            break
        if config.gradual_unfreezing is not None:
            learning.unfreeze(epoch, config.gradual_unfreezing)
            with strategy.scope():
                _compile(trained, optimizer, config)
        reseed_dropout(model, (config.seed, epoch))
        mean_loss.reset_state()
        dataset = epoch_dataset(rows, train.targets, train.weights, plan, epoch, team.slices if team else None)
        if team is not None:
            dataset = strategy.distribute_datasets_from_function(lambda _, dataset=dataset: dataset)
        started = time.monotonic()
        steps = steps_of[epoch - 1]
        callback = _Progress(observer, epoch, config.epochs, steps, config.batch_size)
        with learning.training():
            result = trained.token_model.fit(
                dataset,
                epochs=epoch,
                initial_epoch=epoch - 1,
                steps_per_epoch=steps if team else None,
                verbose=0,
                callbacks=[callback],
                shuffle=False,
            )
        measured = {name: float(values[0]) for name, values in result.history.items()}
        if contrast is not None:
            # The head's scores are those to compare with the validation rows'.
            logits = contrast.fit_head(train.rows, train.targets, train.weights)
            measured = {"contrastive_loss": measured["loss"], **_scores(classifier, train.targets, logits)}
        seconds = time.monotonic() - started
        row = {
            "epoch": epoch,
            **measured,
            **_validate(learning.validated, validation, team),
            "seconds": round(seconds, 2),
            "rows_per_second": round(shown / seconds, 1),
        }
        # The last step may spoil the weights after the training loss was measured; the validation loss shows it.
        total = row["loss"] + row["val_loss"] + row.get("contrastive_loss", 0.0)
        if not math.isfinite(total):
            raise TrainingError(
                f"the loss is {total} after epoch {epoch}; lower training.learning_rate (now {schedule.peak:g}) or use float32"
            )
        history.append(row)
        if is_writer:
            save(checkpoint, run, history)
            run.keep_epochs(
                {*range(epoch - config.average_last_epochs + 1, epoch + 1), best_epoch(history, best_metric)}
            )
        observer.epoch(row)
    if not is_writer:
        return history
    best = best_epoch(history, best_metric)
    if config.average_last_epochs > 1:
        epochs = [row["epoch"] for row in history[-config.average_last_epochs :]]
        assign_average(model, epochs, lambda epoch: read(checkpoint, run.checkpoint(epoch)))
        scores = _validate(learning.validated, validation)
        is_better = _goodness(scores, best_metric) > _goodness(history[best - 1], best_metric)
        run.write_json(AVERAGE, {"epochs": epochs, **scores, "kept": is_better})
        observer.note(
            f"mean of the weights of epochs {epochs[0]} to {epochs[-1]}: val_{best_metric} {scores[f'val_{best_metric}']:.4f}, "
            + ("kept" if is_better else f"no better than epoch {best}")
        )
    else:
        is_better = False
    if not is_better:
        read(checkpoint, run.checkpoint(best))
    _write_weights(model, run, history)
    return history


def best_epoch(history: list[dict[str, Any]], metric: str) -> int:
    """Number of the epoch with the best validation metric, the first of several; for a loss the smallest is best."""
    values = [_goodness(row, metric) for row in history]
    return int(history[int(np.argmax(values))]["epoch"])


def validation_scores(classifier: Classifier, examples: Examples, team: Team | None = None) -> dict[str, float]:
    """Loss and the head's usual metrics, over rows of equal weight; a team's workers compute them together."""
    logits = team.predict(classifier, examples.rows) if team else classifier.predict_tokens(examples.rows)
    return _scores(classifier, examples.targets, logits)


def _scores(classifier: Classifier, targets: np.ndarray, logits: np.ndarray) -> dict[str, float]:
    head = classifier.options.head
    loss = float(loss_of(head)(targets, logits))
    if head is Head.REGRESSION:
        return {"loss": loss, "spearman": correlation("spearman", targets[:, 0], logits[:, 0])}
    predicted = predicted_labels(head, probabilities(head, tf.constant(logits)).numpy())
    truth = targets.reshape(predicted.shape).astype(int)
    return {
        "loss": loss,
        "accuracy": float(accuracy_score(truth, predicted)),
        # Unlike the macro F1 of `metrics`, this one leaves out labels that are neither right nor predicted in any row.
        "macro_f1": float(f1_score(truth, predicted, average="macro", zero_division=0)),
    }


def _validate(classifier: Classifier, validation: Examples, team: Team | None = None) -> dict[str, float]:
    return {f"val_{name}": value for name, value in validation_scores(classifier, validation, team).items()}


def _goodness(row: Mapping[str, Any], metric: str) -> float:
    """The validation metric, or the negative loss: more is better."""
    value = float(row[f"val_{metric}"])
    return -value if metric == "loss" else value


def _patience_is_over(history: list[dict[str, Any]], metric: str, patience: int | None) -> bool:
    return patience is not None and bool(history) and len(history) - best_epoch(history, metric) >= patience


def _compile(classifier: Classifier, optimizer: Any, config: TrainingConfig) -> None:
    """Makes the training step for the variables that are trainable now; the optimizer keeps its state."""
    match classifier.options.head:
        case Head.SOFTMAX:
            metrics = [tf_keras.metrics.SparseCategoricalAccuracy("accuracy")]
        case Head.BINARY | Head.MULTILABEL:
            metrics = [tf_keras.metrics.BinaryAccuracy("accuracy", threshold=0.0)]
        case Head.REGRESSION:
            metrics = []
    # Keras refuses to compile under a strategy whose variables were made elsewhere; the model was built in this scope.
    classifier.token_model.compile(
        optimizer,
        loss_of(classifier.options.head, config.label_smoothing),
        weighted_metrics=metrics,
        jit_compile=config.xla,
    )


def _batch_plan(config: TrainingConfig, classifier: Classifier, train: Examples) -> BatchPlan:
    plan = BatchPlan(
        batch_size=config.batch_size,
        seed=config.seed,
        length=None if config.dynamic_padding else classifier.options.sequence_length,
        length_step=XLA_LENGTH_STEP if config.xla else 1,
        # The encoder has no positions beyond its maximum.
        longest=classifier.options.sequence_length,
        drop_remainder=config.strategy == "tpu",
        max_tokens=config.max_batch_tokens,
    )
    if config.method != "contrastive":
        return plan
    iterations = config.contrastive_iterations or iterations_of(len(train.rows), config.epochs)
    return ContrastivePlan(**vars(plan), targets=train.targets, iterations=iterations)


def _write_weights(model: tf_keras.Model, run: RunFolder, history: list[dict[str, Any]]) -> None:
    """Writes what makes the run complete."""
    run.write_json(HISTORY, history)
    with run.new_folder(run.weights.parent) as folder:
        weights = {variable.name: variable.numpy() for variable in model.variables}
        try:
            save_file(weights, folder / run.weights.name)
        except SafetensorError as error:
            raise OSError(str(error)) from None
    run.drop_checkpoints()


class _Progress(tf_keras.callbacks.Callback):
    """Reports every batch to the observer."""

    def __init__(self, observer: Observer, epoch: int, epochs: int, steps: int, batch_size: int):
        super().__init__()
        self._observer, self._epoch, self._epochs = observer, epoch, epochs
        self._steps, self._batch_size = steps, batch_size
        self._started = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        done = batch + 1
        rate = done * self._batch_size / (time.monotonic() - self._started)
        loss = float((logs or {}).get("loss", math.nan))
        self._observer.batch(
            epoch=self._epoch, epochs=self._epochs, done=done, total=self._steps, rows_per_second=rate, loss=loss
        )
