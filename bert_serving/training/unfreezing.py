"""Layer-wise unfreezing: the head learns alone first, then the encoder's layers join it from the last to the first.

After Howard and Ruder 2018, "Universal Language Model Fine-tuning for Text Classification" (https://arxiv.org/abs/1801.06146), section
3.3: what the first layers know is the most general, and is changed last.
"""

import re

from bert_serving.encoders.loading import LoadedEncoder
from bert_serving.errors import TrainingError

_LAYER = re.compile(r"transformer/layer_(\d+)$")
_POOLER = "pooler_transform"


def unfreeze(encoder: LoadedEncoder, epoch: int, layers_per_epoch: int) -> int:
    """Lets the parts of an encoder learn that take part in an epoch, and no others.

    Args:
        encoder: rebuilt as a Keras network, its layers with weights of their own.
        epoch: its number, from 1; in the first one only the pooler learns, which is next to the head.
        layers_per_epoch: layers that join in each further epoch; the embeddings join once all layers learn and one epoch more came.

    Returns:
        The number of layers that learn.

    Raises:
        TrainingError: the encoder's layers are not known, or all the same.
    """
    architecture = encoder.architecture
    if architecture is None or architecture.shared_layers:
        raise TrainingError(
            "training.gradual_unfreezing needs a BERT, DistilBERT or ELECTRA, layer by layer; leave it out"
        )
    learning = (epoch - 1) * layers_per_epoch
    for part in encoder.layer.layers:
        if (found := _LAYER.search(part.name)) is not None:
            part.trainable = int(found[1]) >= architecture.num_hidden_layers - learning
        elif part.name != _POOLER:
            part.trainable = learning > architecture.num_hidden_layers
    return min(learning, architecture.num_hidden_layers)
