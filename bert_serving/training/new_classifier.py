"""A classifier before training: a pretrained encoder, as the run file changes it, and a new head."""

import tf_keras

from bert_serving.classifier import Classifier, build_classifier
from bert_serving.config import RunConfig
from bert_serving.encoders.folder import EncoderFolder
from bert_serving.encoders.loading import load_encoder
from bert_serving.text.preprocessing import Preprocessing
from bert_serving.training.frozen_layers import freeze
from bert_serving.training.loading import classifier_options
from bert_serving.training.techniques.layer_rates import layer_rates
from bert_serving.training.techniques.new_layers import reinitialize


def new_classifier(
    config: RunConfig, labels: tuple[str, ...], folder: EncoderFolder, preprocessing: Preprocessing
) -> Classifier:
    """The classifier of a run file, with the weights that its seed gives.

    Args:
        config: the run file.
        labels: names of the outputs; empty for a regression.
        folder: of the encoder.
        preprocessing: of the texts.

    Raises:
        EncoderError: the encoder is damaged, too short for the sequence length, or has too few layers.
    """
    tf_keras.utils.set_random_seed(config.training.seed)
    encoder = load_encoder(folder, trainable=config.encoder.trainable)
    if config.encoder.frozen_layers:
        freeze(encoder, config.encoder.frozen_layers)
    # Whatever refuses an encoder does so before anything is written.
    layer_rates(encoder, config.training.layerwise_learning_rate_decay)
    options = classifier_options(config, labels)
    if config.encoder.reinitialized_layers:
        reinitialize(
            encoder,
            config.encoder.reinitialized_layers,
            pooling=options.pooling,
            frozen=config.encoder.frozen_layers,
            seed=config.training.seed,
        )
    return build_classifier(encoder, preprocessing, options)
