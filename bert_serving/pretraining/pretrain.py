"""The pretraining loop: masked language modeling with dynamic masking, validated on held-out text after each epoch."""

import hashlib
import math
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from bert_serving import contract
from bert_serving.data.batches import BatchPlan, TokenRows, padded_batch, sorted_batches
from bert_serving.data.unlabeled import TextColumns, read_unlabeled
from bert_serving.encoders.dropout import reseed_dropout
from bert_serving.encoders.folder import PREPROCESSING
from bert_serving.errors import DataError, EncoderError, TrainingError
from bert_serving.observer import Observer
from bert_serving.pretraining.config import PretrainingConfig, TextConfig
from bert_serving.pretraining.masking import MaskingRule, mask_batch
from bert_serving.pretraining.network import MaskedLanguageModel, start, write_pretrained
from bert_serving.pretraining.rows import pretraining_rows
from bert_serving.text.preprocessing import VOCABULARY_FILE, load_preprocessing
from bert_serving.text.vocabulary import SPECIAL_TOKENS, read_vocabulary
from bert_serving.training.checkpoints import restore, save
from bert_serving.training.optimizer import create_optimizer, plan_schedule
from bert_serving.training.run_folder import HISTORY, LOCK, RunFolder

CONFIG = "pretraining.json"
TEXT = "text.json"
"""digest of the training rows"""
UNFINISHED = ".unfinished"
_VALIDATION_SEED = 0xE7A1


class _Step:
    """An optimizer step and a validation step, as graphs."""

    def __init__(self, model: MaskedLanguageModel, optimizer: Any):
        self.model = model
        self.optimizer = optimizer
        ids = tf.TensorSpec([None, None], tf.int32)
        signature = [dict.fromkeys(contract.TOKEN_INPUTS, ids), ids, ids, tf.TensorSpec([None, None])]
        self.learn = tf.function(self._learn, input_signature=signature)
        self.validate = tf.function(self._validate, input_signature=signature)

    def _learn(
        self, tokens: dict[str, tf.Tensor], positions: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor
    ) -> tf.Tensor:
        with tf.GradientTape() as tape:
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
                labels, self.model.logits(tokens, positions, training=True)
            )
            loss = tf.reduce_sum(losses * weights) / tf.maximum(tf.reduce_sum(weights), 1.0)
        variables = self.model.pretrainer.trainable_variables
        gradients = zip(tape.gradient(loss, variables), variables, strict=True)
        # The pooler has no part in the predictions and gets no gradient.
        self.optimizer.apply_gradients([pair for pair in gradients if pair[0] is not None])
        return loss

    def _validate(
        self, tokens: dict[str, tf.Tensor], positions: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        logits = self.model.logits(tokens, positions, training=False)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        hits = tf.cast(tf.equal(tf.argmax(logits, axis=-1, output_type=tf.int32), labels), tf.float32)
        return tf.reduce_sum(losses * weights), tf.reduce_sum(hits * weights), tf.reduce_sum(weights)


def pretrain(
    config: PretrainingConfig, out: Path, *, resume: bool = False, observer: Observer | None = None
) -> list[dict[str, Any]]:
    """Pretrains an encoder and writes its folder, which `encoder.path` of a run file takes.

    Until it is complete the folder is `<out>.unfinished`, with a checkpoint of the last epoch.

    Args:
        config: the run file.
        out: folder to write; must not exist.
        resume: resume an unfinished pretraining with the same run file and text. Order of rows, masks and dropout depend on seed
            and epoch alone, so that it ends with the same weights as an uninterrupted one.
        observer: told of the progress.

    Returns:
        The history, one row for each epoch: loss on the training rows, loss and masked accuracy on the held-out rows.

    Raises:
        InputError: the text, the encoder or the folder are wrong.
        SourceError: the encoder could not be downloaded.
        TrainingError: the loss is not a finite number.
    """
    observer = observer or Observer()
    unfinished = RunFolder(out.with_name(f"{out.name}{UNFINISHED}"))
    _check_folders(out, unfinished, config, resume=resume)
    with observer.stage("Reading the text"):
        texts, held_out = _texts(config.data, config.training.seed, observer)
    is_new = not unfinished.path.exists()
    try:
        with unfinished.locked():
            # A complete folder only needs its final name.
            complete = _is_complete(unfinished)
            history = (
                unfinished.read_json(HISTORY) if complete else _pretrain(config, unfinished, texts, held_out, observer)
            )
        with unfinished.writable():
            (unfinished.path / LOCK).unlink(missing_ok=True)
            unfinished.path.rename(out)
    except BaseException:
        if is_new and not unfinished.last_epoch() and not _is_complete(unfinished):
            shutil.rmtree(unfinished.path, ignore_errors=True)
        raise
    return history


def _check_folders(out: Path, unfinished: RunFolder, config: PretrainingConfig, *, resume: bool) -> None:
    if out.exists():
        raise EncoderError(f"{out}: exists; give a new folder with --out")
    started = bool(unfinished.last_epoch()) or _is_complete(unfinished)
    if started and not resume:
        raise EncoderError(
            f"{unfinished.path}: holds an unfinished pretraining; go on with --resume, or remove it to start anew"
        )
    if resume and not started:
        raise EncoderError(f"{out}: there is nothing to resume; leave --resume out")
    if not resume:
        return
    before, now = unfinished.read_json(CONFIG), config.model_dump(mode="json")
    differing = [
        f"{table}.{key}" for table, keys in now.items() for key in keys if before.get(table, {}).get(key) != keys[key]
    ]
    if differing:
        raise EncoderError(
            f"{unfinished.path}: the run file changed since this pretraining began ({', '.join(differing)}); remove it to start anew"
        )


def _pretrain(
    config: PretrainingConfig, unfinished: RunFolder, texts: list[str], held_out: list[str], observer: Observer
) -> list[dict[str, Any]]:
    """Pretrains up to a complete encoder folder in `unfinished`."""
    target, masking = unfinished.path, config.masking
    with observer.stage("Preparing the encoder"), unfinished.writable():
        shutil.rmtree(target / PREPROCESSING, ignore_errors=True)
        model = start(
            config.encoder,
            target,
            seed=config.training.seed,
            passed_over=observer.note,
            progress=observer.download,
        )
        preprocessing = load_preprocessing(target / PREPROCESSING)
        positions = model.architecture.max_position_embeddings
        if masking.sequence_length > positions:
            raise EncoderError(
                f"masking.sequence_length is {masking.sequence_length}, the encoder takes at most {positions} tokens"
            )
    with observer.stage(f"Tokenizing {len(texts) + len(held_out):,} texts"):
        rows, held_out_rows = (
            pretraining_rows(preprocessing, part, sequence_length=masking.sequence_length, packed=masking.packed)
            for part in (texts, held_out)
        )
    vocabulary = read_vocabulary(target / PREPROCESSING / contract.ASSETS_FOLDER / VOCABULARY_FILE)
    rule = MaskingRule.of(masking, vocabulary, SPECIAL_TOKENS)
    _check_rows(unfinished, rows)
    unfinished.write_text(CONFIG, config.model_dump_json(indent=2) + "\n")
    history = _learn(model, rows, held_out_rows, rule, config, unfinished, observer)
    with observer.stage("Writing the encoder"), unfinished.writable():
        write_pretrained(model, target)
        # Written last: a folder with a history is complete.
        unfinished.write_json(HISTORY, history)
        unfinished.drop_checkpoints()
    return history


def _is_complete(unfinished: RunFolder) -> bool:
    return (unfinished.path / HISTORY).is_file()


def _check_rows(unfinished: RunFolder, rows: TokenRows) -> None:
    """Checks that a resumed pretraining has the tokens that it began with, and records them for the next time."""
    sha256 = hashlib.sha256(rows.words.tobytes() + rows.offsets.tobytes()).hexdigest()
    if unfinished.last_epoch() and unfinished.read_json(TEXT) != {"sha256": sha256}:
        raise EncoderError(
            f"{unfinished.path}: the text or the vocabulary changed since this pretraining began; remove it to start anew"
        )
    unfinished.write_json(TEXT, {"sha256": sha256})


def _texts(data: TextConfig, seed: int, observer: Observer) -> tuple[list[str], list[str]]:
    """Training and held-out texts."""
    random = np.random.default_rng(seed)
    texts = _read(data.train, data, observer)
    if data.validation:
        held_out = _read(data.validation, data, observer)
    else:
        order = random.permutation(len(texts))
        count = max(1, round(data.validation_fraction * len(texts)))
        if count == len(texts):
            raise DataError(f"data.train holds {len(texts)} text, none would be left to learn from; give more")
        held_out, texts = [texts[i] for i in order[:count]], [texts[i] for i in np.sort(order[count:])]
    if data.max_train_rows is not None and data.max_train_rows < len(texts):
        texts = [texts[i] for i in np.sort(random.choice(len(texts), data.max_train_rows, replace=False))]
    return texts, held_out


def _read(paths: Sequence[Path], data: TextConfig, observer: Observer) -> list[str]:
    # The default of the key stands for any name: a table's only column of texts is found.
    name = None if data.text == TextConfig.model_fields["text"].default else data.text
    return read_unlabeled(paths, TextColumns(name, option="data.text"), observer).texts


def _learn(
    model: MaskedLanguageModel,
    rows: TokenRows,
    held_out_rows: TokenRows,
    rule: MaskingRule,
    config: PretrainingConfig,
    unfinished: RunFolder,
    observer: Observer,
) -> list[dict[str, Any]]:
    training = config.training
    plan = BatchPlan(training.batch_size, training.seed)
    steps = len(plan.order(rows.lengths, 0))
    width = model.architecture.hidden_size
    schedule = plan_schedule(training, steps=steps * training.epochs, width=width, trainable=True)
    optimizer = create_optimizer(schedule, training)
    step = _Step(model, optimizer)
    checkpoint = tf.train.Checkpoint(model=model.pretrainer, optimizer=optimizer)
    history = restore(checkpoint, unfinished)
    for epoch in range(len(history) + 1, training.epochs + 1):
        reseed_dropout(model.pretrainer, (training.seed, epoch))
        random = np.random.default_rng((training.seed, epoch))
        order = plan.order(rows.lengths, epoch)
        started, losses = time.monotonic(), []
        for done, index in enumerate(order, 1):
            losses.append(float(step.learn(*_inputs(rows, index, rule, random))))
            seconds = time.monotonic() - started
            observer.batch(
                epoch=epoch,
                epochs=training.epochs,
                done=done,
                total=len(order),
                rows_per_second=done * training.batch_size / seconds,
                loss=float(np.mean(losses)),
            )
        seconds = time.monotonic() - started
        row = {
            "epoch": epoch,
            "loss": float(np.mean(losses)),
            **_validate(step, held_out_rows, rule, training.batch_size),
            "seconds": round(seconds, 2),
            "rows_per_second": round(len(rows) / seconds, 1),
        }
        if not math.isfinite(row["loss"] + row["val_loss"]):
            raise TrainingError(f"the loss is {row['loss']} after epoch {epoch}; lower training.learning_rate")
        history.append(row)
        save(checkpoint, unfinished, history)
        unfinished.keep_epochs({epoch})
        observer.epoch(row)
    return history


def _validate(step: _Step, rows: TokenRows, rule: MaskingRule, batch_size: int) -> dict[str, float]:
    """Validation loss (nats) and masked accuracy: the fraction of selected tokens that are predicted; always with the same masks."""
    random = np.random.default_rng(_VALIDATION_SEED)
    totals = np.zeros(3)
    for index in sorted_batches(rows.lengths, batch_size):
        totals += [float(value) for value in step.validate(*_inputs(rows, index, rule, random))]
    loss, hits, count = totals
    return {"val_loss": loss / count, "val_masked_accuracy": hits / count}


def _inputs(rows: TokenRows, index: np.ndarray, rule: MaskingRule, random: np.random.Generator) -> tuple[Any, ...]:
    batch = padded_batch(rows, index)
    masked = mask_batch(batch[contract.WORD_IDS], batch[contract.MASK], rule, random)
    tokens = {**batch, contract.WORD_IDS: masked.words}
    constants = {name: tf.constant(value) for name, value in tokens.items()}
    return constants, tf.constant(masked.positions), tf.constant(masked.labels), tf.constant(masked.weights)
