"""The pretraining loop: masks drawn anew in each epoch, masked accuracy on held-out text after each."""

import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from bert_serving import contract
from bert_serving.data.batches import BatchPlan, TokenRows, padded_batch, sorted_batches
from bert_serving.data.unlabelled import read_texts
from bert_serving.encoders.architecture import reseed_dropout
from bert_serving.encoders.conversion import PREPROCESSING
from bert_serving.errors import DataError, EncoderError, TrainingError
from bert_serving.observer import Observer
from bert_serving.pretraining.masking import MaskedBatch, MaskingRule, mask_batch
from bert_serving.pretraining.network import MaskedLanguageModel, start, write_pretrained
from bert_serving.pretraining.rows import pretraining_rows
from bert_serving.pretraining.run_file import PretrainingConfig, TextConfig
from bert_serving.text.preprocessing import VOCABULARY_FILE, load_preprocessing
from bert_serving.text.vocabulary import SPECIAL_TOKENS, read_vocabulary
from bert_serving.training.optimizer import Schedule, create_optimizer
from bert_serving.training.run_folder import RunFolder

HISTORY = "history.json"
_MEASURING_SEED = 0xE7A1


class _Step:
    """One optimizer step, and one measurement, as graphs."""

    def __init__(self, model: MaskedLanguageModel, optimizer: Any):
        self.model = model
        self.optimizer = optimizer
        number = tf.TensorSpec([None, None], tf.int32)
        signature = [dict.fromkeys(contract.TOKEN_INPUTS, number), number, number, tf.TensorSpec([None, None])]
        self.learn = tf.function(self._learn, input_signature=signature)
        self.measure = tf.function(self._measure, input_signature=signature)

    def _learn(self, tokens, positions, labels, weights):
        with tf.GradientTape() as tape:
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
                labels, self.model.logits(tokens, positions, training=True)
            )
            loss = tf.reduce_sum(losses * weights) / tf.maximum(tf.reduce_sum(weights), 1.0)
        variables = self.model.pretrainer.trainable_variables
        # The pooler has no part in guessing and gets no gradient.
        found = zip(tape.gradient(loss, variables), variables, strict=True)
        self.optimizer.apply_gradients([(gradient, variable) for gradient, variable in found if gradient is not None])
        return loss

    def _measure(self, tokens, positions, labels, weights):
        logits = self.model.logits(tokens, positions, training=False)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        hits = tf.cast(tf.equal(tf.argmax(logits, axis=-1, output_type=tf.int32), labels), tf.float32)
        return tf.reduce_sum(losses * weights), tf.reduce_sum(hits * weights), tf.reduce_sum(weights)


def pretrain(config: PretrainingConfig, out: Path, *, observer: Observer | None = None) -> list[dict[str, Any]]:
    """Pretrains an encoder and writes its folder, which `encoder.path` of a run file takes.

    Args:
        config: the run file.
        out: folder to write; must not exist.
        observer: told of the progress.

    Returns:
        The history: loss on the training rows, loss and masked accuracy on the held-out rows, one row for each epoch.

    Raises:
        InputError: the text, the encoder or the folder are wrong.
        SourceError: the encoder could not be fetched.
        TrainingError: the loss became no number.
    """
    observer = observer or Observer()
    if out.exists():
        raise EncoderError(f"{out}: exists; give a new folder with --out")
    with observer.stage("Reading the text"):
        texts, held_out = _texts(config.data, config.training.seed)
    folder = RunFolder(out)
    with folder.new_folder(out) as target:
        with observer.stage("Preparing the encoder"):
            model = start(config.encoder, target, seed=config.training.seed, passed_over=observer.note)
            preprocessing = load_preprocessing(target / PREPROCESSING)
            positions = model.architecture.positions
            if config.masking.sequence_length > positions:
                raise EncoderError(
                    f"masking.sequence_length is {config.masking.sequence_length}, the encoder takes at most {positions} tokens"
                )
        with observer.stage(f"Tokenising {len(texts) + len(held_out):,} texts"):
            masking = config.masking
            rows, measured = (
                pretraining_rows(preprocessing, each, sequence_length=masking.sequence_length, packed=masking.packed)
                for each in (texts, held_out)
            )
        rule = MaskingRule.of(
            read_vocabulary(target / PREPROCESSING / "assets" / VOCABULARY_FILE),
            SPECIAL_TOKENS,
            share=masking.share,
            mask_share=masking.mask_share,
            random_share=masking.random_share,
            whole_words=masking.whole_words,
        )
        history = _learn(model, rows, measured, rule, config, observer)
        with observer.stage("Writing the encoder"):
            write_pretrained(model, target)
            RunFolder(target).write_json(HISTORY, history)
            RunFolder(target).write_text("pretraining.json", config.model_dump_json(indent=2) + "\n")
    return history


def _texts(data: TextConfig, seed: int) -> tuple[list[str], list[str]]:
    """Training and held-out texts."""
    random = np.random.default_rng(seed)
    texts = read_texts(data.train, data.text)
    if data.validation:
        held_out = read_texts(data.validation, data.text)
    else:
        order = random.permutation(len(texts))
        count = max(1, round(data.validation_share * len(texts)))
        if count == len(texts):
            raise DataError(f"data.train holds {len(texts)} text, none would be left to learn from; give more")
        held_out, texts = [texts[i] for i in order[:count]], [texts[i] for i in np.sort(order[count:])]
    if data.rows is not None and data.rows < len(texts):
        texts = [texts[i] for i in np.sort(random.choice(len(texts), data.rows, replace=False))]
    return texts, held_out


def _learn(
    model: MaskedLanguageModel,
    rows: TokenRows,
    measured: TokenRows,
    rule: MaskingRule,
    config: PretrainingConfig,
    observer: Observer,
) -> list[dict[str, Any]]:
    training = config.training
    plan = BatchPlan(training.batch_size, training.seed)
    steps = len(plan.order(rows.lengths, 0)) * training.epochs
    schedule = Schedule(steps, int(steps * training.warmup_share), training.learning_rate)
    step = _Step(model, create_optimizer(schedule, training.as_training()))
    history = []
    for epoch in range(1, training.epochs + 1):
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
            **measure(step, measured, rule, training.batch_size),
            "seconds": round(seconds, 2),
            "rows_per_second": round(len(rows) / seconds, 1),
        }
        if not math.isfinite(row["loss"] + row["val_loss"]):
            raise TrainingError(f"the loss is {row['loss']} after epoch {epoch}; lower training.learning_rate")
        history.append(row)
        observer.epoch(row)
    return history


def measure(step: _Step, rows: TokenRows, rule: MaskingRule, batch_size: int) -> dict[str, float]:
    """Loss (nats) and share of the masked word pieces that are guessed right; always under the same masks."""
    random = np.random.default_rng(_MEASURING_SEED)
    totals = np.zeros(3)
    for index in sorted_batches(rows.lengths, batch_size):
        totals += [float(value) for value in step.measure(*_inputs(rows, index, rule, random))]
    loss, hits, count = totals
    return {"val_loss": loss / count, "val_masked_accuracy": hits / count}


def _inputs(rows: TokenRows, index: np.ndarray, rule: MaskingRule, random: np.random.Generator) -> tuple[Any, ...]:
    batch = padded_batch(rows, index)
    masked: MaskedBatch = mask_batch(batch[contract.WORD_IDS], batch[contract.MASK], rule, random)
    tokens = {**batch, contract.WORD_IDS: masked.words}
    constants = {name: tf.constant(value) for name, value in tokens.items()}
    return constants, tf.constant(masked.positions), tf.constant(masked.labels), tf.constant(masked.weights)
