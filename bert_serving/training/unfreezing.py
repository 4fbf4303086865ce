"""Gradual unfreezing: only the head is trained at first, then the encoder's layers join it from the last to the first.

After Howard and Ruder 2018, "Universal Language Model Fine-tuning for Text Classification"
(https://arxiv.org/abs/1801.06146), section 3.3: the first layers hold the most general knowledge and are changed last.
"""

import re

from bert_serving.encoders.architecture import Architecture
from bert_serving.encoders.loading import LoadedEncoder
from bert_serving.errors import TrainingError

_LAYER = re.compile(r"transformer/layer_(\d+)$")
# What is next to the head; a ModernBERT has normalizations there.
_TOP = ("pooler_transform", "pooler_layer_norm", "final_layer_norm")


def unfreeze(encoder: LoadedEncoder, epoch: int, layers_per_epoch: int) -> int:
    """Makes the parts of an encoder trainable that are trained in an epoch, and freezes all others.

    Args:
        encoder: rebuilt as a Keras network, its layers with weights of their own.
        epoch: its number, from 1; in the first one only the pooler, which is next to the head, is trained.
        layers_per_epoch: layers that join in each further epoch; the embeddings join in the epoch after all layers have joined.

    Returns:
        The number of trainable layers.

    Raises:
        TrainingError: the encoder's layers are not known, or share their weights.
    """
    architecture = encoder.architecture
    if architecture is None or (isinstance(architecture, Architecture) and architecture.shared_layers):
        raise TrainingError(
            "training.gradual_unfreezing needs an encoder whose layers are known and have weights of their own; leave it out"
        )
    layers = architecture.num_hidden_layers
    joined = (epoch - 1) * layers_per_epoch
    for part in encoder.layer.layers:
        if match := _LAYER.search(part.name):
            part.trainable = int(match[1]) >= layers - joined
        elif part.name not in _TOP:
            part.trainable = joined > layers
    return min(joined, layers)
