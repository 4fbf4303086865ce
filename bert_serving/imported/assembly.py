"""Joins weights that were read from files to a classifier in memory."""

from collections.abc import Mapping

import numpy as np

from bert_serving.classifier import Classifier, ClassifierOptions, build_classifier
from bert_serving.encoders.architecture import Architecture, assign_weights
from bert_serving.encoders.loading import LoadedEncoder, network_from
from bert_serving.errors import EncoderError
from bert_serving.text.preprocessing import Preprocessing


def assemble(
    source: str,
    architecture: Architecture,
    weights: Mapping[str, np.ndarray],
    output: tuple[np.ndarray, np.ndarray],
    preprocessing: Preprocessing,
    options: ClassifierOptions,
) -> Classifier:
    """Builds a classifier.

    Args:
        source: for messages.
        architecture: of the encoder.
        weights: of the encoder, under our names.
        output: kernel [H, outputs] and bias [outputs] of the layer that gives the logits.
        preprocessing: strings to token ids.
        options: labels, head and sequence length.

    Raises:
        EncoderError: the parts do not fit each other.
    """
    encoder = LoadedEncoder(network_from(architecture, blank=True), architecture)
    assign_weights(encoder.layer, weights)
    classifier = build_classifier(encoder, preprocessing, options)
    layer = classifier.token_model.get_layer("head")
    values = [np.asarray(value, np.float32) for value in output]
    if [value.shape for value in values] != [tuple(variable.shape) for variable in layer.variables]:
        shapes = " and ".join(str(value.shape) for value in values)
        raise EncoderError(f"{source}: its head has shapes {shapes}, which do not fit an encoder of its configuration")
    layer.set_weights(values)
    return classifier
