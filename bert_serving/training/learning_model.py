"""The classifier as it is trained: the same layers and weights, without what a training step does not need.

- Frozen layers are left out; their kept output for each token takes the place of the token ids.
- The embedding table may be one of the word pieces that occur in the training texts.
- Where the head sees [CLS] alone, the last layer is computed for this token alone. The others have no part in the logits and
  no gradient, only their keys and values have.
"""

import contextlib
import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

import tensorflow as tf
import tf_keras

from bert_serving import contract, window_pooling
from bert_serving.classifier import BLOCKS, Classifier, pool
from bert_serving.config import TrainingConfig
from bert_serving.contract import Pooling
from bert_serving.data.batches import LAYER_OUTPUT, TokenRows
from bert_serving.encoders.architecture import layered_bert
from bert_serving.encoders.dropout import short_dropout
from bert_serving.encoders.gelu import short_gelu_gradient
from bert_serving.training.occurring_words import OccurringWords, find_occurring_words
from bert_serving.training.unfreezing import unfreeze

_LAYER = "transformer/layer_{}"
_TYPES = "type_embeddings"


@dataclass(frozen=True)
class Learning:
    """The classifier as it is trained and validated.

    Attributes:
        validated: takes all rows as they are.
        trained: of the same variables, but for the table of `words`.
        words: the word pieces that `trained` has embeddings of; None for all.
        is_short: compute GELU's gradient in fewer operations.
        short_masks: draw the dropout masks in fewer operations.
    """

    validated: Classifier
    trained: Classifier
    words: OccurringWords | None = None
    is_short: bool = True
    short_masks: bool = False

    def rows(self, rows: TokenRows) -> TokenRows:
        """Training rows as `trained` takes them."""
        return rows if self.words is None else self.words.renumbered(rows)

    def variables(self, model: tf_keras.Model) -> list[tf.Variable]:
        """The trainable variables of the whole classifier's token model, with the table of `words` for the encoder's."""
        if self.words is None:
            return list(model.trainable_variables)
        whole, small = self.words.whole.embeddings, self.words.layer.embeddings
        return [small if variable is whole else variable for variable in model.trainable_variables]

    @property
    def tables(self) -> dict[str, tf_keras.layers.Layer]:
        """What a checkpoint has to hold beside the classifier, by name."""
        return {} if self.words is None else {"words": self.words.layer}

    def unfreeze(self, epoch: int, layers_per_epoch: int) -> None:
        """Gradual unfreezing, before the training step of an epoch is compiled, where Keras notes what is trainable."""
        unfreeze(self.trained.encoder, epoch, layers_per_epoch)
        if self.words is not None:
            self.words.layer.trainable = self.words.whole.trainable

    @contextlib.contextmanager
    def training(self) -> Iterator[None]:
        """Within it an epoch is trained; outside of it the classifier has all weights."""
        with contextlib.ExitStack() as stack:
            if self.words is not None:
                stack.enter_context(self.words.standing_in())
            if self.is_short:
                stack.enter_context(short_gelu_gradient())
            if self.short_masks:
                stack.enter_context(short_dropout(self.trained.token_model))
            yield


def plan_learning(
    classifier: Classifier,
    rows: TokenRows,
    config: TrainingConfig,
    frozen_layers: int = 0,
    *,
    first_token: bool = True,
    is_short: bool = True,
    small_table: bool = True,
    short_masks: bool = True,
) -> Learning:
    """How a classifier is trained on some rows.

    Args:
        classifier: whole.
        rows: training rows.
        config: of the training.
        frozen_layers: as in `learning_classifier`.
        first_token: as in `learning_classifier`.
        is_short: train the embeddings of occurring word pieces alone, and compute GELU's gradient in fewer operations: the same
            but for rounding.
        small_table: with `is_short`, train the embeddings of occurring word pieces alone; False for all.
        short_masks: draw the dropout masks in fewer operations, on processors.
    """
    short_masks = short_masks and _runs_on_processor(config)
    validated = learning_classifier(classifier, frozen_layers, first_token=first_token)
    words = None
    if is_short and small_table:
        words = find_occurring_words(classifier.encoder, rows, config, frozen_layers=frozen_layers)
    if words is None:
        return Learning(validated, validated, None, is_short, short_masks)
    trained = learning_classifier(classifier, first_token=first_token, words=words.layer)
    return Learning(validated, trained, words, is_short, short_masks)


def _runs_on_processor(config: TrainingConfig) -> bool:
    """Whether a step is computed by TensorFlow's own operations for processors."""
    is_alone = config.strategy in ("one_device", "multi_worker") and not config.xla
    return is_alone and not tf.config.list_logical_devices("GPU")


def learning_classifier(
    classifier: Classifier,
    frozen_layers: int = 0,
    *,
    first_token: bool = True,
    words: tf_keras.layers.Layer | None = None,
) -> Classifier:
    """The classifier with a token model for training, of the same layers and variables.

    Args:
        classifier: whole.
        frozen_layers: number of layers that are left out: the token model then takes rows that `with_layer_outputs` made. The
            encoder must be one that `freeze` accepts.
        first_token: compute the last layer for [CLS] alone, where the head sees nothing else. Its dropout masks have another
            shape then, and so other values.
        words: embeds the word ids in the place of the encoder's own layer; only without frozen layers.

    Returns:
        `classifier` itself where nothing can be left out.
    """
    architecture, options = layered_bert(classifier.encoder.architecture), classifier.options
    sees_first = first_token and options.pooling in (Pooling.POOLER, Pooling.CLS) and not options.blocks
    if architecture is None or not (sees_first or frozen_layers or words):
        return classifier
    network, last = classifier.encoder.layer, architecture.num_hidden_layers - 1
    inputs = _inputs(architecture.hidden_size if frozen_layers else None)
    if options.windows is not None:
        inputs[contract.WINDOW_COUNTS] = tf_keras.layers.Input((), dtype=tf.int32, name=contract.WINDOW_COUNTS)
    sequence = inputs[LAYER_OUTPUT] if frozen_layers else _embedded(network, inputs, words)
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
    logits = _logits(classifier, outputs, inputs)
    return dataclasses.replace(classifier, token_model=tf_keras.Model(inputs, logits, name="learning_classifier"))


def _inputs(width: int | None) -> dict[str, tf.Tensor]:
    """The token ids, or the output of a layer of this width and the mask."""
    if width is None:
        return {name: tf_keras.layers.Input((None,), dtype=tf.int32, name=name) for name in contract.TOKEN_INPUTS}
    return {
        LAYER_OUTPUT: tf_keras.layers.Input((None, width), dtype=tf.float32, name=LAYER_OUTPUT),
        contract.MASK: tf_keras.layers.Input((None,), dtype=tf.int32, name=contract.MASK),
    }


def _embedded(network: tf_keras.Model, inputs: dict[str, tf.Tensor], words: tf_keras.layers.Layer | None) -> tf.Tensor:
    """The input of the network's first layer."""
    embedded, _ = network.get_layer(_LAYER.format(0)).get_input_at(0)
    if words is None:
        tokens = {name: inputs[name] for name in contract.TOKEN_INPUTS}
        return tf_keras.Model(network.input, embedded, name="embeddings")(tokens)
    before = [network.get_layer(words.name).get_output_at(0), network.get_layer(_TYPES).get_input_at(0)]
    after = tf_keras.Model(before, embedded, name="embeddings")
    return after([words(inputs[contract.WORD_IDS]), inputs[contract.TYPE_IDS]])


def _logits(classifier: Classifier, outputs: dict[str, tf.Tensor], inputs: dict[str, tf.Tensor]) -> tf.Tensor:
    """What the classifier's own layers make of its encoder's outputs."""
    model, options, mask = classifier.token_model, classifier.options, inputs[contract.MASK]
    if options.blocks:
        sequence = outputs[contract.SEQUENCE_OUTPUT]
        attended = model.get_layer(f"{BLOCKS}/mask")(sequence, mask)
        for number in range(options.blocks):
            sequence = model.get_layer(f"{BLOCKS}/layer_{number}")([sequence, attended])
        outputs = {**outputs, contract.SEQUENCE_OUTPUT: sequence}
    pooled = pool(options.pooling, outputs, mask)
    if options.windows is not None:
        pooled = model.get_layer(window_pooling.NAME)([pooled, inputs[contract.WINDOW_COUNTS]])
    return model.get_layer("head")(model.get_layer("dropout")(pooled))
