"""Layer-wise learning rate decay: the farther a layer is from the head, the less its weights move.

After Howard and Ruder 2018, "Universal Language Model Fine-tuning for Text Classification"
(https://arxiv.org/abs/1801.06146), section 3.2, "discriminative fine-tuning"; `layerwise_lr_decay` of ELECTRA
(https://github.com/google-research/electra); Zhang et al. 2020, "Revisiting Few-sample BERT Fine-tuning"
(https://arxiv.org/abs/2006.05987), which gives the last layer the peak, as here.
"""

import re
from dataclasses import dataclass

from bert_serving.encoders.architecture import Architecture
from bert_serving.encoders.loading import LoadedEncoder
from bert_serving.errors import EncoderError

_LAYER = re.compile(r"transformer/layer_(\d+)/")
# What is next to the head; a ModernBERT has normalizations there. "blocks" are new layers above the encoder.
_TOP = ("head/", "blocks/", "pooler_transform/", "pooler_layer_norm/", "final_layer_norm/")


@dataclass(frozen=True)
class LayerRates:
    """By what each variable's learning rate is multiplied.

    Layer k of n, counted from 1, has `decay ** (n - k)`, the embeddings below them `decay ** n`, and what is above them 1.

    ```python
    from bert_serving.training.techniques.layer_rates import LayerRates

    rates = LayerRates(0.5, layers=2)
    assert rates.of("transformer/layer_1/output/kernel:0") == 1.0  # the second of two
    assert rates.of("transformer/layer_0/output/kernel:0") == 0.5
    assert rates.of("word_embeddings/embeddings:0") == 0.25
    ```

    Attributes:
        decay: over 0, at most 1.
        layers: number of Transformer layers.
    """

    decay: float
    layers: int

    def of(self, name: str) -> float:
        """The factor of the variable of this name."""
        if match := _LAYER.match(name):
            return self.decay ** (self.layers - 1 - int(match[1]))
        return 1.0 if name.startswith(_TOP) else self.decay**self.layers


def layer_rates(encoder: LoadedEncoder, decay: float) -> LayerRates | None:
    """The factors for the classifier on an encoder; None for a decay of 1, which changes no rate.

    Raises:
        EncoderError: the encoder's layers are not known, or share their weights.
    """
    if decay == 1:
        return None
    architecture = encoder.architecture
    if architecture is None or (isinstance(architecture, Architecture) and architecture.shared_layers):
        raise EncoderError(
            f"training.layerwise_learning_rate_decay is {decay:g}, and needs an encoder whose layers are known and have weights "
            "of their own; leave it out"
        )
    return LayerRates(decay, architecture.num_hidden_layers)
