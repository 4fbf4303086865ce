"""The classifier as it is trained: the same layers and weights, without what a training step does not need.

- Frozen layers are left out; their kept output for each token takes the place of the token ids.
- Where the head sees [CLS] alone, the last layer is computed for this token alone. The others have no part in the logits and
  no gradient, only their keys and values have.
"""

import dataclasses

import tensorflow as tf
import tf_keras

from bert_serving import contract
from bert_serving.classifier import BLOCKS, Classifier, pool
from bert_serving.contract import Pooling
from bert_serving.data.batches import LAYER_OUTPUT

_LAYER = "transformer/layer_{}"


def learning_classifier(classifier: Classifier, frozen_layers: int = 0, *, first_token: bool = True) -> Classifier:
    """The classifier with a token model for training, of the same layers and variables.

    Args:
        classifier: whole.
        frozen_layers: number of layers that are left out: the token model then takes rows that `with_layer_outputs` made. The
            encoder must be one that `freeze` accepts.
        first_token: compute the last layer for [CLS] alone, where the head sees nothing else. Its dropout masks have another
            shape then, and so other values.

    Returns:
        `classifier` itself where nothing can be left out.
    """
    architecture, options = classifier.encoder.architecture, classifier.options
    sees_first = first_token and options.pooling in (Pooling.POOLER, Pooling.CLS) and not options.blocks
    if architecture is None or architecture.shared_layers or not (sees_first or frozen_layers):
        return classifier
    network, last = classifier.encoder.layer, architecture.num_hidden_layers - 1
    inputs = _inputs(architecture.hidden_size if frozen_layers else None)
    sequence = inputs[LAYER_OUTPUT] if frozen_layers else _embeddings(network)(inputs)
    attended = next(part for part in network.layers if part.name.startswith("self_attention_mask"))(
        sequence, inputs[contract.MASK]
    )
    for number in range(frozen_layers, last + 1):
        first = 1 if sees_first and number == last else None
        sequence = network.get_layer(_LAYER.format(number))([sequence, attended], output_range=first)
    outputs = {
        contract.SEQUENCE_OUTPUT: sequence,
        contract.POOLED_OUTPUT: network.get_layer("pooler_transform")(sequence[:, 0]),
    }
    logits = _logits(classifier, outputs, inputs[contract.MASK])
    return dataclasses.replace(classifier, token_model=tf_keras.Model(inputs, logits, name="learning_classifier"))


def _inputs(width: int | None) -> dict[str, tf.Tensor]:
    """The token ids, or the output of a layer of this width and the mask."""
    if width is None:
        return {name: tf_keras.layers.Input((None,), dtype=tf.int32, name=name) for name in contract.TOKEN_INPUTS}
    return {
        LAYER_OUTPUT: tf_keras.layers.Input((None, width), dtype=tf.float32, name=LAYER_OUTPUT),
        contract.MASK: tf_keras.layers.Input((None,), dtype=tf.int32, name=contract.MASK),
    }


def _embeddings(network: tf_keras.Model) -> tf_keras.Model:
    """The network up to the input of its first layer."""
    embedded, _ = network.get_layer(_LAYER.format(0)).get_input_at(0)
    return tf_keras.Model(network.input, embedded, name="embeddings")


def _logits(classifier: Classifier, outputs: dict[str, tf.Tensor], mask: tf.Tensor) -> tf.Tensor:
    """What the classifier's own layers make of its encoder's outputs."""
    model, options = classifier.token_model, classifier.options
    if options.blocks:
        sequence = outputs[contract.SEQUENCE_OUTPUT]
        attended = model.get_layer(f"{BLOCKS}/mask")(sequence, mask)
        for number in range(options.blocks):
            sequence = model.get_layer(f"{BLOCKS}/layer_{number}")([sequence, attended])
        outputs = {**outputs, contract.SEQUENCE_OUTPUT: sequence}
    return model.get_layer("head")(model.get_layer("dropout")(pool(options.pooling, outputs, mask)))
