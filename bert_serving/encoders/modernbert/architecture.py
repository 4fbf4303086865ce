"""The size of a ModernBERT encoder."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

MODEL_TYPE = "modernbert"
"""`model_type` in config.json and in encoder.json"""
TYPE_KEY = "model_type"
"""key of encoder.json that BERT's lacks"""


@dataclass(frozen=True)
class ModernBertArchitecture:
    """Everything that fixes the shapes and the arithmetic of a ModernBERT encoder.

    The pooled output is that of the first token, or the mean of all tokens, after the final normalization. With `has_pooler` a
    dense layer, its activation and a normalization follow, as in the head of a fine-tuned classifier.

    Attributes:
        vocab_size: rows of the embedding table.
        hidden_size: width of the layers' outputs.
        num_attention_heads: of each layer.
        intermediate_size: width of the gated dense layer.
        max_position_embeddings: longest sequence, in tokens.
        global_layers: for each layer, whether its tokens attend to all tokens, and not only to those in the window.
        window: tokens on each side that a token of a local layer attends to.
        global_rope_theta: base of the rotary positions' wavelengths in global layers.
        local_rope_theta: the same in local layers.
        layer_norm_eps: added to the variance.
        layer_norm_bias: whether normalizations have a bias.
        attention_bias: whether the dense layers of the attention have one.
        mlp_bias: whether the gated dense layers have one.
        pooler_bias: whether the pooler's dense layer has one.
        activation: of the gated dense layer, a name in `ACTIVATIONS`.
        pooler_activation: of the pooler, a name in `POOLER_ACTIVATIONS`.
        has_pooler: whether the encoder has the layers of a pooler.
        pools_mean: take the mean of all tokens for the pooled output, not the first token.
        embedding_dropout: rate after the embeddings.
        attention_dropout: rate on the attention's probabilities and on its output.
        dropout: rate within the gated dense layer.
    """

    vocab_size: int
    hidden_size: int
    num_attention_heads: int
    intermediate_size: int
    max_position_embeddings: int
    global_layers: tuple[bool, ...]
    window: int = 64
    global_rope_theta: float = 160_000.0
    local_rope_theta: float = 10_000.0
    layer_norm_eps: float = 1e-5
    layer_norm_bias: bool = False
    attention_bias: bool = False
    mlp_bias: bool = False
    pooler_bias: bool = False
    activation: str = "gelu"
    pooler_activation: str = "gelu"
    has_pooler: bool = False
    pools_mean: bool = False
    embedding_dropout: float = 0.0
    attention_dropout: float = 0.0
    dropout: float = 0.0

    @property
    def num_hidden_layers(self) -> int:
        """Number of layers."""
        return len(self.global_layers)

    @property
    def head_size(self) -> int:
        """Width of an attention head."""
        return self.hidden_size // self.num_attention_heads

    def save(self, path: Path) -> None:
        """Writes the architecture as JSON."""
        path.write_text(json.dumps({TYPE_KEY: MODEL_TYPE} | asdict(self), indent=2) + "\n", "utf-8")

    @classmethod
    def described(cls, description: Mapping[str, Any]) -> "ModernBertArchitecture":
        """The architecture that `save` wrote, from the file's content.

        Raises:
            TypeError: a key is missing or unknown.
        """
        sizes = {name: value for name, value in description.items() if name != TYPE_KEY}
        if unknown := sizes.keys() - {each.name for each in fields(cls)}:
            raise TypeError(f"unknown key {min(unknown)!r}")
        return cls(**sizes | {"global_layers": tuple(map(bool, sizes["global_layers"]))})
