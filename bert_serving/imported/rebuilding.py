"""Rebuilds a foreign classifier as our network from its variables, and proves that both give the same answers.

The variables tell every size. They do not tell the activations, nor how the encoder's outputs become the input of the last layer; so
all that this project knows are tried, and the one that gives the original's outputs is taken.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from bert_serving import contract
from bert_serving.classifier import Classifier, ClassifierOptions, build_classifier, pool
from bert_serving.contract import Head, Pooling
from bert_serving.encoders.architecture import (
    ACTIVATIONS,
    POOLER_ACTIVATIONS,
    Architecture,
    assign_weights,
    listed_problems,
    neutral_weights,
)
from bert_serving.encoders.loading import LoadedEncoder, infer_architecture, network_from
from bert_serving.errors import EncoderError
from bert_serving.imported.head import OUTPUT_ACTIVATIONS, ambiguous, answers, check_labels, choose_head
from bert_serving.imported.options import ImportOptions
from bert_serving.imported.original import Original, Sample, sample
from bert_serving.text.preprocessing import Preprocessing

SAME_ANSWERS = 1e-5
"""largest difference of a probability between a file that comes in and what is made of it"""
_WORDS = "word_embeddings/embeddings:0"
_POOLER = ("pooler_transform/kernel:0", "pooler_transform/bias:0")
_SUPPORTED = (
    "supported is a BERT encoder with a dense layer on its pooled output, on the output of [CLS], or on the mean or maximum of "
    "all tokens"
)

_Dense = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Rebuilt:
    """A classifier in memory that answers as the original does.

    Attributes:
        classifier: ours.
        difference: largest difference of a probability on the sample.
        rows: of the sample.
        notes: what its author may not know of it, a line each.
    """

    classifier: Classifier
    difference: float
    rows: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Candidate:
    """One way to compute the outputs, and how far it is from the original."""

    architecture: Architecture
    weights: Mapping[str, np.ndarray]
    pooling: Pooling
    activation: str
    difference: float


def rebuild(original: Original, preprocessing: Preprocessing, options: ImportOptions, *, length: int) -> Rebuilt:
    """Makes a classifier of the original's variables.

    Args:
        original: the model as it was loaded.
        preprocessing: its own.
        options: labels, and what else its author tells.
        length: texts are cut at this number of tokens, as by the original.

    Raises:
        EncoderError: the model is not of a kind that can be rebuilt, or the rebuilt one answers otherwise.
        ExportError: the labels do not fit.
    """
    encoder, architecture, layers = _parts(original)
    asked = sample(preprocessing, pairs=options.pairs, sequence_length=length)
    expected = original.ask(asked)
    outputs = expected.shape[1]
    kernel, bias = layers[-1]
    if kernel.shape[1] != outputs:
        raise EncoderError(
            f"{original.source}: gives {outputs} outputs, its last layer has {kernel.shape[1]}; {_SUPPORTED}"
        )
    candidates = _candidates(architecture, encoder, layers, asked, expected)
    best = min(candidates, key=lambda candidate: candidate.difference)
    head = choose_head(original.source, best.activation, outputs, options)
    wanted = answers(head, best.activation, expected)
    chosen = ClassifierOptions(
        labels=options.labels, head=head, sequence_length=length, pairs=options.pairs, pooling=best.pooling
    )
    network = network_from(best.architecture, blank=True)
    assign_weights(network, best.weights)
    classifier = build_classifier(LoadedEncoder(network, best.architecture), preprocessing, chosen)
    classifier.token_model.get_layer("head").set_weights([kernel, bias])
    difference = _difference(classifier.predict(asked.texts, asked.pairs), wanted, head)
    if not difference <= SAME_ANSWERS:
        raise EncoderError(
            f"{original.source}: a network rebuilt from its {len(original.weights)} variables answers otherwise: a probability differs by "
            f"{difference:.1e}, at most {SAME_ANSWERS:.0e} is allowed; {_SUPPORTED}"
        )
    # After the arithmetic: without labels, a person learns first whether the model can be taken at all.
    check_labels(original.source, head, outputs, options.labels)
    note = ambiguous(head, best.activation, outputs, options)
    return Rebuilt(classifier, difference, len(asked.texts), (note,) if note else ())


def _difference(found: np.ndarray, wanted: np.ndarray, head: Head) -> float:
    # A regression's values have any size, so that rounding grows with them.
    scale = np.maximum(1, np.abs(wanted)) if head is Head.REGRESSION else 1
    return float(np.max(np.abs(found - wanted) / scale))


# === Variables ===


def _parts(original: Original) -> tuple[dict[str, np.ndarray], Architecture, list[_Dense]]:
    """The encoder's variables under our names, its architecture, and the dense layers after it."""
    named = next((name for name in original.weights if name.endswith(_WORDS)), None)
    if named is None:
        raise EncoderError(
            f"{original.source}: holds no BERT encoder (none of its variables is {_WORDS}); {_SUPPORTED}"
        )
    prefix = named.removesuffix(_WORDS)
    ours = {name.removeprefix(prefix): value for name, value in original.weights.items() if name.startswith(prefix)}
    architecture = infer_architecture(ours)
    if architecture is None:
        raise EncoderError(
            f"{original.source}: its encoder is not a BERT of the usual layout (such as an ALBERT or a later family); {_SUPPORTED}"
        )
    expected = {variable.name for variable in network_from(architecture, blank=True).variables}
    encoder = {name: value for name, value in ours.items() if name in expected}
    missing = sorted(expected - encoder.keys() - set(_POOLER))
    if missing:
        raise EncoderError(f"{original.source}: its encoder lacks {listed_problems(missing)}; {_SUPPORTED}")
    rest = {name: value for name, value in original.weights.items() if name.removeprefix(prefix) not in encoder}
    return encoder, architecture, _dense_layers(original.source, rest, architecture.hidden_size)


def _dense_layers(source: str, rest: Mapping[str, np.ndarray], width: int) -> list[_Dense]:
    """The dense layers in their order, which their shapes tell: one, or one before it that keeps the width."""
    kernels = {name.removesuffix("kernel:0"): value for name, value in rest.items() if name.endswith("kernel:0")}
    layers = {
        name: (kernel, rest.get(f"{name}bias:0", np.zeros(kernel.shape[-1], np.float32)))
        for name, kernel in kernels.items()
        if kernel.ndim == 2
    }
    known = {f"{name}{part}:0" for name in layers for part in ("kernel", "bias")}
    strange = [name for name in rest if name not in known]
    hidden = {name for name, (kernel, _) in layers.items() if kernel.shape == (width, width) and len(layers) > 1}
    inner = [layers[name] for name in hidden]
    last = [layer for name, layer in layers.items() if name not in hidden]
    if strange or len(last) != 1 or len(inner) > 1 or last[0][0].shape[0] != width:
        shapes = [f"{name} {'x'.join(map(str, value.shape))}" for name, value in rest.items()]
        raise EncoderError(
            f"{source}: has after its encoder {listed_problems(shapes) if shapes else 'no dense layer'}; {_SUPPORTED}"
        )
    return [*inner, last[0]]


# === Arithmetic ===


def _candidates(
    architecture: Architecture,
    encoder: Mapping[str, np.ndarray],
    layers: list[_Dense],
    asked: Sample,
    expected: np.ndarray,
) -> Iterator[_Candidate]:
    """Every way that this project knows to compute the outputs."""
    tokens = {name: tf.constant(value) for name, value in asked.tokens.items()}
    kernel, bias = layers[-1]
    for activation in ACTIVATIONS:
        tried = dataclasses.replace(architecture, activation=activation)
        for form, weights, poolings in _poolers(tried, encoder, layers):
            network = network_from(form, blank=True)
            assign_weights(network, weights)
            outputs = network(tokens, training=False)
            for pooling in poolings:
                logits = tf.matmul(pool(pooling, outputs, tokens[contract.MASK]), kernel) + bias
                for name, function in OUTPUT_ACTIVATIONS.items():
                    difference = float(tf.reduce_max(tf.abs(function(logits) - expected)))
                    yield _Candidate(form, weights, pooling, name, difference)


def _poolers(
    architecture: Architecture, encoder: Mapping[str, np.ndarray], layers: list[_Dense]
) -> Iterator[tuple[Architecture, Mapping[str, np.ndarray], tuple[Pooling, ...]]]:
    """The encoder with its own pooler, or with the dense layer that its head has on [CLS] in the pooler's place."""
    if len(layers) > 1:
        pooler = dict(zip(_POOLER, layers[0], strict=True))
        for activation in POOLER_ACTIVATIONS:
            yield (
                dataclasses.replace(architecture, pooler_activation=activation),
                {**encoder, **pooler},
                (Pooling.POOLER,),
            )
    elif encoder.keys() >= set(_POOLER):
        yield architecture, encoder, tuple(Pooling)
    else:
        neutral = neutral_weights(architecture, types=False, pooler=True)
        yield (
            architecture,
            {**encoder, **neutral},
            tuple(pooling for pooling in Pooling if pooling is not Pooling.POOLER),
        )
