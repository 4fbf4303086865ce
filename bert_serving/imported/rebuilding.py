"""Rebuilds a foreign classifier as our network from its variables, and proves that both give the same answers.

The variables tell every size. They do not tell the activations, nor how the encoder's outputs become the input of the last layer; so
all that this project knows are tried, and the one that gives the original's outputs is taken.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
import tensorflow_hub as hub

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
from bert_serving.imported.original import Original, sample
from bert_serving.text.preprocessing import Preprocessing

SAME_ANSWERS = 1e-5
"""largest difference of a probability between a file that comes in and what is made of it"""
_WORDS = "word_embeddings/embeddings:0"
_POOLER = ("pooler_transform/kernel:0", "pooler_transform/bias:0")
_SUPPORTED = (
    "supported is an encoder of TF Hub or tf-models-official with a dense layer on its pooled output, on the output of [CLS], or on "
    "the mean or maximum of all tokens"
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
class _Form:
    """One way to compute the input of the last layer.

    Attributes:
        load: makes the encoder.
        pooling: of the encoder's outputs.
        pooled: that input for the sample, [B, H].
    """

    load: Callable[[], LoadedEncoder]
    pooling: Pooling
    pooled: tf.Tensor


@dataclass(frozen=True)
class _Candidate:
    """One way to compute the original's outputs, and how far it is from them."""

    load: Callable[[], LoadedEncoder]
    pooling: Pooling
    activation: str
    difference: float


def rebuild(original: Original, preprocessing: Preprocessing, options: ImportOptions, *, length: int) -> Rebuilt:
    """Makes a classifier of the original's variables.

    Args:
        original: the model as it was loaded.
        preprocessing: its own.
        options: labels, and what else its author tells.
        length: the original cuts texts at this number of tokens; with another `options.sequence_length` the two are compared
            before it holds.

    Raises:
        EncoderError: the model is not of a kind that can be rebuilt, or the rebuilt one answers otherwise.
        ExportError: the labels do not fit.
    """
    asked = sample(preprocessing, pairs=options.pairs, sequence_length=length)
    tokens = {name: tf.constant(value) for name, value in asked.tokens.items()}
    layers, forms = _parts(original, tokens)
    expected = original.ask(asked)
    outputs = expected.shape[1]
    kernel, bias = layers[-1]
    if kernel.shape[1] != outputs:
        raise EncoderError(
            f"{original.source}: gives {outputs} outputs, its last layer has {kernel.shape[1]}; {_SUPPORTED}"
        )
    candidates = _candidates(forms, layers[-1], expected)
    best = min(candidates, key=lambda candidate: candidate.difference)
    head = choose_head(original.source, best.activation, outputs, options)
    wanted = answers(head, best.activation, expected)
    chosen = ClassifierOptions(
        labels=options.labels, head=head, sequence_length=length, pairs=options.pairs, pooling=best.pooling
    )
    classifier = build_classifier(best.load(), preprocessing, chosen)
    classifier.token_model.get_layer("head").set_weights([kernel, bias])
    difference = _difference(classifier.predict(asked.texts, asked.pairs), wanted, head)
    if not difference <= SAME_ANSWERS:
        raise EncoderError(
            f"{original.source}: a network rebuilt from its {len(original.weights)} variables answers otherwise: a probability differs by "
            f"{difference:.1e}, at most {SAME_ANSWERS:.0e} is allowed; {_SUPPORTED}"
        )
    # After the arithmetic: without labels, a person learns first whether the model can be taken at all.
    check_labels(original.source, head, outputs, options.labels)
    if options.sequence_length is not None:
        classifier.encoder.check_length(options.sequence_length, "--sequence-length")
        chosen = dataclasses.replace(chosen, sequence_length=options.sequence_length)
        classifier = dataclasses.replace(classifier, options=chosen)
    note = ambiguous(head, best.activation, outputs, options)
    return Rebuilt(classifier, difference, len(asked.texts), (note,) if note else ())


def _difference(found: np.ndarray, wanted: np.ndarray, head: Head) -> float:
    # A regression's values have any size, so that rounding grows with them.
    scale = np.maximum(1, np.abs(wanted)) if head is Head.REGRESSION else 1
    return float(np.max(np.abs(found - wanted) / scale))


# === Variables ===


def _parts(original: Original, tokens: Mapping[str, tf.Tensor]) -> tuple[list[_Dense], Iterator[_Form]]:
    """The dense layers after the encoder, and the ways to compute the encoder's outputs for `tokens`."""
    prefix, architecture = _bert(original.weights)
    if architecture is None:
        return _other_parts(original, tokens)
    ours = {name.removeprefix(prefix): value for name, value in original.weights.items() if name.startswith(prefix)}
    expected = {variable.name for variable in network_from(architecture, blank=True).variables}
    encoder = {name: value for name, value in ours.items() if name in expected}
    if missing := sorted(expected - encoder.keys() - set(_POOLER)):
        raise EncoderError(f"{original.source}: its encoder lacks {listed_problems(missing)}; {_SUPPORTED}")
    rest = {name: value for name, value in original.weights.items() if name.removeprefix(prefix) not in encoder}
    layers = _dense_layers(original.source, rest, architecture.hidden_size)
    return layers, _bert_forms(architecture, encoder, layers, tokens)


def _bert(weights: Mapping[str, np.ndarray]) -> tuple[str, Architecture | None]:
    """What stands before the names of a BERT's variables, and its architecture; None where there is no BERT."""
    named = next((name for name in weights if name.endswith(_WORDS)), None)
    prefix = "" if named is None else named.removesuffix(_WORDS)
    return prefix, infer_architecture({name.removeprefix(prefix): value for name, value in weights.items()})


def _other_parts(original: Original, tokens: Mapping[str, tf.Tensor]) -> tuple[list[_Dense], Iterator[_Form]]:
    """As `_parts`, for an encoder of TF Hub that is kept as it is."""
    model = original.encoder()
    if model is None:
        raise EncoderError(
            f"{original.source}: holds no BERT encoder, and no other one of TF Hub's format; {_SUPPORTED}"
        )
    layer = hub.KerasLayer(model, trainable=False, name="encoder")
    outputs = layer(tokens)
    own = {variable.name for variable in model.variables}
    rest = {name: value for name, value in original.weights.items() if name not in own}
    layers = _dense_layers(original.source, rest, outputs[contract.POOLED_OUTPUT].shape[-1], hidden=False)
    loaded = LoadedEncoder(layer, None)
    return layers, _pooled_forms(lambda: loaded, outputs, tokens, tuple(Pooling))


def _dense_layers(source: str, rest: Mapping[str, np.ndarray], width: int, *, hidden: bool = True) -> list[_Dense]:
    """The dense layers in their order, which their shapes tell: one, or one before it that keeps the width."""
    kernels = {name.removesuffix("kernel:0"): value for name, value in rest.items() if name.endswith("kernel:0")}
    layers = {
        name: (kernel, rest.get(f"{name}bias:0", np.zeros(kernel.shape[-1], np.float32)))
        for name, kernel in kernels.items()
        if kernel.ndim == 2
    }
    known = {f"{name}{part}:0" for name in layers for part in ("kernel", "bias")}
    strange = [name for name in rest if name not in known]
    square = {name for name, (kernel, _) in layers.items() if kernel.shape == (width, width) and len(layers) > 1}
    inner = [layers[name] for name in square]
    last = [layer for name, layer in layers.items() if name not in square]
    if strange or len(last) != 1 or len(inner) > int(hidden) or last[0][0].shape[0] != width:
        shapes = [f"{name} {'x'.join(map(str, value.shape))}" for name, value in rest.items()]
        raise EncoderError(
            f"{source}: has after its encoder {listed_problems(shapes) if shapes else 'no dense layer'}; {_SUPPORTED}"
        )
    return [*inner, last[0]]


# === Arithmetic ===


def _candidates(forms: Iterable[_Form], last: _Dense, expected: np.ndarray) -> Iterator[_Candidate]:
    """Every way that this project knows to compute the outputs."""
    kernel, bias = last
    for form in forms:
        logits = tf.matmul(form.pooled, kernel) + bias
        for name, function in OUTPUT_ACTIVATIONS.items():
            yield _Candidate(form.load, form.pooling, name, float(tf.reduce_max(tf.abs(function(logits) - expected))))


def _bert_forms(
    architecture: Architecture,
    encoder: Mapping[str, np.ndarray],
    layers: Sequence[_Dense],
    tokens: Mapping[str, tf.Tensor],
) -> Iterator[_Form]:
    """With each activation, the encoder as it is, or with the dense layer that its head has on [CLS] in the pooler's place."""
    has_pooler = encoder.keys() >= set(_POOLER)
    weights = encoder if has_pooler else {**encoder, **neutral_weights(architecture, types=False, pooler=True)}
    poolings = [pooling for pooling in Pooling if has_pooler or pooling is not Pooling.POOLER]
    for activation in ACTIVATIONS:
        tried = dataclasses.replace(architecture, activation=activation)
        outputs = _load(tried, weights).layer(tokens, training=False)
        if len(layers) == 1:
            yield from _pooled_forms(functools.partial(_load, tried, weights), outputs, tokens, poolings)
            continue
        kernel, bias = layers[0]
        hidden = tf.matmul(outputs[contract.SEQUENCE_OUTPUT][:, 0], kernel) + bias
        replaced = {**weights, **dict(zip(_POOLER, layers[0], strict=True))}
        for name, function in POOLER_ACTIVATIONS.items():
            form = dataclasses.replace(tried, pooler_activation=name)
            yield _Form(functools.partial(_load, form, replaced), Pooling.POOLER, function(hidden))


def _pooled_forms(
    load: Callable[[], LoadedEncoder],
    outputs: dict[str, tf.Tensor],
    tokens: Mapping[str, tf.Tensor],
    poolings: Sequence[Pooling],
) -> Iterator[_Form]:
    for pooling in poolings:
        yield _Form(load, pooling, pool(pooling, outputs, tokens[contract.MASK]))


def _load(architecture: Architecture, weights: Mapping[str, np.ndarray]) -> LoadedEncoder:
    network = network_from(architecture, blank=True)
    assign_weights(network, weights)
    return LoadedEncoder(network, architecture)
