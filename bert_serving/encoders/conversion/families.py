"""Names of sizes and tensors in the families of Hugging Face's library whose arithmetic is BERT's."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

SIZES = (
    "vocab_size",
    "num_hidden_layers",
    "hidden_size",
    "num_attention_heads",
    "intermediate_size",
    "max_position_embeddings",
)
"""keys of config.json that every family has, and names of the same sizes in `Architecture`"""

POSITIONS = "embeddings.position_embeddings.weight"
_EMBEDDINGS = {
    "embeddings.word_embeddings.weight": "word_embeddings/embeddings",
    POSITIONS: "position_embedding/embeddings",
}
_EMBEDDINGS_NORM = {
    "embeddings.LayerNorm.weight": "embeddings/layer_norm/gamma",
    "embeddings.LayerNorm.bias": "embeddings/layer_norm/beta",
}
_TYPES = {"embeddings.token_type_embeddings.weight": "type_embeddings/embeddings"}
_POOLER = "pooler_transform"
# Parts of a layer: BERT's and ELECTRA's name, DistilBERT's name, ALBERT's name, ours.
_LAYER = (
    ("attention.self.query", "attention.q_lin", "attention.query", "self_attention/query"),
    ("attention.self.key", "attention.k_lin", "attention.key", "self_attention/key"),
    ("attention.self.value", "attention.v_lin", "attention.value", "self_attention/value"),
    ("attention.output.dense", "attention.out_lin", "attention.dense", "self_attention/attention_output"),
    ("attention.output.LayerNorm", "sa_layer_norm", "attention.LayerNorm", "self_attention_layer_norm"),
    ("intermediate.dense", "ffn.lin1", "ffn", "intermediate"),
    ("output.dense", "ffn.lin2", "ffn_output", "output"),
    ("output.LayerNorm", "output_layer_norm", "full_layer_layer_norm", "output_layer_norm"),
)


@dataclass(frozen=True)
class ClassifierNames:
    """Names of the layers of a `...ForSequenceClassification` after its encoder.

    Attributes:
        output: the dense layer that gives the logits.
        pooler: the dense layer on [CLS] before it.
        activation: of that layer, a name in `POOLER_ACTIVATIONS`.
    """

    output: str = "classifier"
    pooler: str = "pooler.dense"
    activation: str = "tanh"


@dataclass(frozen=True)
class Family:
    """One `model_type` of Hugging Face.

    Attributes:
        prefix: of the encoder's tensors in a model with a head.
        layers: prefix of a layer's tensors, before its number.
        layer: parts of a layer, Hugging Face's name to ours.
        left_out: prefixes of tensors that are not the encoder's: heads of other tasks, and constants.
        other_keys: sizes that its config.json has under another key.
        classifier: names of a classifier's head.
        has_types: whether it has embeddings of token types (first or second text).
        has_embedding_size: whether its embeddings may be narrower than its layers.
        pooler: its dense layer on [CLS]; None where it has none.
        projection: the dense layer that widens its embeddings, where they are narrower than the layers.
        shared_layers: whether all layers have the same weights; `layers` then names the only one.
        positions_after_padding: whether the first position is the padding id + 1, as in RoBERTa; rows before it are never used.
    """

    prefix: str
    layers: str
    layer: Mapping[str, str]
    left_out: tuple[str, ...]
    other_keys: Mapping[str, str] = field(default_factory=dict)
    classifier: ClassifierNames = ClassifierNames()
    has_types: bool = True
    has_embedding_size: bool = False
    pooler: str | None = "pooler.dense"
    projection: str = "embeddings_project"
    shared_layers: bool = False
    positions_after_padding: bool = False

    def size_keys(self) -> dict[str, str]:
        """Sizes of an `Architecture` to the keys of config.json."""
        names = (*SIZES, "embedding_size") if self.has_embedding_size else SIZES
        return {name: self.other_keys.get(name, name) for name in names}

    def size_tensors(self) -> dict[str, tuple[str, int]]:
        """Sizes of an `Architecture` to a tensor that has them, and to its axis."""
        theirs = {ours: name for name, ours in (_EMBEDDINGS | _TYPES).items()}
        words, positions = theirs["word_embeddings/embeddings"], theirs["position_embedding/embeddings"]
        layer = self.layers if self.shared_layers else f"{self.layers}.0"
        inner = next(name for name, ours in self.layer.items() if ours == "intermediate")
        sizes = {"vocab_size": (words, 0), "max_position_embeddings": (positions, 0)}
        if self.has_types:
            sizes["type_vocab_size"] = (next(iter(_TYPES)), 0)
        if self.has_embedding_size:
            sizes["embedding_size"] = (words, 1)
        return sizes | {
            "hidden_size": (f"{layer}.{inner}.weight", 1),
            "intermediate_size": (f"{layer}.{inner}.weight", 0),
        }

    def pooler_names(self) -> set[str]:
        """Tensors of the pooler; none where the family has no pooler."""
        return set() if self.pooler is None else set(_dense(self.pooler, _POOLER))

    @property
    def head_has_pooler(self) -> bool:
        """Whether a classifier's head has its own dense layer on [CLS], so that the encoder's is not saved with it."""
        return self.classifier.pooler != self.pooler

    def first_position(self, config: Mapping[str, Any]) -> int:
        """Row of the position table that belongs to a text's first token.

        Args:
            config: config.json of the model.
        """
        return int(config.get("pad_token_id", 1)) + 1 if self.positions_after_padding else 0

    def weight_names(self, layers: int, *, projection: bool) -> dict[str, str]:
        """All tensors of an encoder with `layers` layers, Hugging Face's name to ours."""
        names = _EMBEDDINGS | (_TYPES if self.has_types else {}) | _EMBEDDINGS_NORM
        if self.pooler is not None:
            names |= _dense(self.pooler, _POOLER)
        if projection:
            names |= _dense(self.projection, "embedding_projection")
        numbered = {f"{self.layers}.{number}": f"transformer/layer_{number}" for number in range(layers)}
        for their_layer, our_layer in ({self.layers: "transformer"} if self.shared_layers else numbered).items():
            for theirs, ours in self.layer.items():
                weight, bias = ("gamma", "beta") if ours.endswith("layer_norm") else ("kernel", "bias")
                names[f"{their_layer}.{theirs}.weight"] = f"{our_layer}/{ours}/{weight}"
                names[f"{their_layer}.{theirs}.bias"] = f"{our_layer}/{ours}/{bias}"
        return names


def _dense(theirs: str, ours: str) -> dict[str, str]:
    return {f"{theirs}.weight": f"{ours}/kernel", f"{theirs}.bias": f"{ours}/bias"}


_BERT_LAYER = {bert: ours for bert, _, _, ours in _LAYER}
_HEADS = ("classifier.", "qa_outputs.")

_ROBERTA = Family(
    prefix="roberta.",
    layers="encoder.layer",
    layer=_BERT_LAYER,
    left_out=("embeddings.position_ids", "lm_head.", *_HEADS),
    classifier=ClassifierNames(output="classifier.out_proj", pooler="classifier.dense"),
    positions_after_padding=True,
)

FAMILIES = {
    "bert": Family(
        prefix="bert.",
        layers="encoder.layer",
        layer=_BERT_LAYER,
        left_out=("embeddings.position_ids", "cls.", *_HEADS),
    ),
    "electra": Family(
        prefix="electra.",
        layers="encoder.layer",
        layer=_BERT_LAYER,
        left_out=(
            "embeddings.position_ids",
            "discriminator_predictions.",
            "generator_predictions.",
            "generator_lm_head.",
            *_HEADS,
        ),
        classifier=ClassifierNames(output="classifier.out_proj", pooler="classifier.dense", activation="gelu"),
        has_embedding_size=True,
        pooler=None,
    ),
    "distilbert": Family(
        prefix="distilbert.",
        layers="transformer.layer",
        layer={distilbert: ours for _, distilbert, _, ours in _LAYER},
        left_out=("vocab_transform.", "vocab_layer_norm.", "vocab_projector.", "pre_classifier.", *_HEADS),
        other_keys={
            "num_hidden_layers": "n_layers",
            "hidden_size": "dim",
            "num_attention_heads": "n_heads",
            "intermediate_size": "hidden_dim",
        },
        classifier=ClassifierNames(pooler="pre_classifier", activation="relu"),
        has_types=False,
        pooler=None,
    ),
    "albert": Family(
        prefix="albert.",
        layers="encoder.albert_layer_groups.0.albert_layers.0",
        layer={albert: ours for _, _, albert, ours in _LAYER},
        left_out=("embeddings.position_ids", "predictions.", "sop_classifier.", *_HEADS),
        classifier=ClassifierNames(pooler="pooler"),
        has_embedding_size=True,
        pooler="pooler",
        projection="encoder.embedding_hidden_mapping_in",
        shared_layers=True,
    ),
    "roberta": _ROBERTA,
    "xlm-roberta": _ROBERTA,
    "camembert": _ROBERTA,
}
