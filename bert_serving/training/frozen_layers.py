"""Layer freezing: the lowest layers run once over each text, and an epoch runs only the layers above them.

Freezing the embeddings and the first layers while fine-tuning the others is common practice; Lee et al. 2019, "What Would Elsa
Do? Freezing Layers During Transformer Fine-Tuning" (https://arxiv.org/abs/1911.03090), measure what it costs in quality. What
does not change need not be computed again, as long as it has no dropout.
"""

import dataclasses
import re
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf

from bert_serving import contract
from bert_serving.classifier import Classifier
from bert_serving.data.batches import TokenRows, padded_batch, sorted_batches
from bert_serving.encoders.architecture import layered_bert
from bert_serving.encoders.loading import LoadedEncoder
from bert_serving.errors import EncoderError
from bert_serving.observer import Observer

MEMORY_BUDGET = 2 * 1024**3
"""bytes of layer outputs that are kept in memory; more of them are kept on disk"""

_LAYER_NAME = re.compile(r"transformer/layer_(\d+)$")
_POOLER = "pooler_transform"
_BATCH = 64


def freeze(encoder: LoadedEncoder, layers: int) -> None:
    """Excludes the embeddings and the first layers of an encoder from training.

    Args:
        encoder: rebuilt as a Keras network, its layers with weights of their own.
        layers: number of Transformer layers to freeze, at least 1.

    Raises:
        EncoderError: the encoder's layers are not known or share their weights, or there are fewer of them.
    """
    architecture = layered_bert(encoder.architecture)
    if architecture is None:
        raise EncoderError(
            f"encoder.frozen_layers is {layers}, and needs a BERT, DistilBERT or ELECTRA, layer by layer; leave it out"
        )
    if layers > architecture.num_hidden_layers:
        raise EncoderError(
            f"encoder.frozen_layers is {layers}, the encoder has {architecture.num_hidden_layers} layers; lower it"
        )
    for part in encoder.layer.layers:
        match = _LAYER_NAME.search(part.name)
        part.trainable = int(match[1]) >= layers if match else part.name == _POOLER


def with_layer_outputs(
    classifier: Classifier,
    tokens: Mapping[str, TokenRows],
    layers: int,
    folder: Path,
    observer: Observer,
    budget: int = MEMORY_BUDGET,
) -> dict[str, TokenRows]:
    """Tokenized texts with the frozen layers' output for each token, computed without dropout.

    Args:
        classifier: whole, with its frozen layers.
        tokens: tokenized texts by the name of their split.
        layers: number of frozen Transformer layers.
        folder: existing folder, for outputs that are more than the budget: in a file without a name, which the system removes
            when the process ends.
        observer: told of the progress.
        budget: bytes of outputs, over all splits, that are kept in memory.

    Raises:
        OSError: the file cannot be written.
    """
    width = classifier.encoder.architecture.hidden_size if classifier.encoder.architecture else 0
    total = sum(len(rows.words) for rows in tokens.values())
    in_memory = total * width * np.dtype(np.float32).itemsize <= budget
    run = _lower_layers(classifier, layers)
    kept = {}
    with observer.stage(f"Running {layers} frozen layers on {total:,} tokens"):
        for name, rows in tokens.items():
            taken = rows.windows
            outputs = _in_memory(taken, width, run) if in_memory else _on_disk(taken, width, run, folder)
            kept[name] = dataclasses.replace(rows, layer_outputs=outputs)
    return kept


_Run = Callable[[dict[str, np.ndarray]], np.ndarray]


def _lower_layers(classifier: Classifier, layers: int) -> _Run:
    """Runs the frozen layers on a batch of tokens; float32 [B, L, H]."""
    spec = {name: tf.TensorSpec([None, None], tf.int32, name=name) for name in contract.TOKEN_INPUTS}

    def outputs_of(tokens: dict[str, tf.Tensor]) -> tf.Tensor:
        outputs = classifier.encoder.layer(tokens, training=False)["encoder_outputs"]
        return tf.cast(outputs[layers - 1], tf.float32)

    # As a graph, from which the layers above are pruned.
    graph = tf.function(outputs_of, input_signature=[spec], autograph=False)

    def run(batch: dict[str, np.ndarray]) -> np.ndarray:
        values: np.ndarray = graph({name: tf.constant(value) for name, value in batch.items()}).numpy()
        return values

    return run


def _in_memory(rows: TokenRows, width: int, run: _Run) -> np.ndarray:
    kept = np.empty((len(rows.words), width), np.float32)

    def write(first: int, values: np.ndarray) -> None:
        kept[first : first + len(values)] = values

    _run_all(rows, run, write)
    return kept


def _on_disk(rows: TokenRows, width: int, run: _Run, folder: Path) -> np.ndarray:
    # Written as a file, not through the map: a full disk is an error then, and not the end of the process.
    with tempfile.TemporaryFile(dir=folder) as file:

        def write(first: int, values: np.ndarray) -> None:
            file.seek(first * width * values.itemsize)
            file.write(values.tobytes())

        _run_all(rows, run, write)
        file.flush()
        return np.memmap(file, np.float32, "r", shape=(len(rows.words), width))


def _run_all(rows: TokenRows, run: _Run, write: Callable[[int, np.ndarray], None]) -> None:
    for index in sorted_batches(rows.lengths, _BATCH):
        values = run(padded_batch(rows, index))
        for row, number in zip(values, index, strict=True):
            write(int(rows.offsets[number]), row[: rows.lengths[number]])
