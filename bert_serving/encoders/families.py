"""How Hugging Face names the sizes and tensors of the models whose arithmetic is BERT's: BERT, DistilBERT, ELECTRA."""

from collections.abc import Mapping
from dataclasses import dataclass

_EMBEDDINGS = {
    "embeddings.word_embeddings.weight": "word_embeddings/embeddings",
    "embeddings.position_embeddings.weight": "position_embedding/embeddings",
}
_EMBEDDINGS_NORM = {
    "embeddings.LayerNorm.weight": "embeddings/layer_norm/gamma",
    "embeddings.LayerNorm.bias": "embeddings/layer_norm/beta",
}
_TYPES = {"embeddings.token_type_embeddings.weight": "type_embeddings/embeddings"}
_POOLER = {
    "pooler.dense.weight": "pooler_transform/kernel",
    "pooler.dense.bias": "pooler_transform/bias",
}
_PROJECTION = {
    "embeddings_project.weight": "embedding_projection/kernel",
    "embeddings_project.bias": "embedding_projection/bias",
}
# Parts of a layer: BERT's and ELECTRA's name, DistilBERT's name, ours.
_LAYER = (
    ("attention.self.query", "attention.q_lin", "self_attention/query"),
    ("attention.self.key", "attention.k_lin", "self_attention/key"),
    ("attention.self.value", "attention.v_lin", "self_attention/value"),
    ("attention.output.dense", "attention.out_lin", "self_attention/attention_output"),
    ("attention.output.LayerNorm", "sa_layer_norm", "self_attention_layer_norm"),
    ("intermediate.dense", "ffn.lin1", "intermediate"),
    ("output.dense", "ffn.lin2", "output"),
    ("output.LayerNorm", "output_layer_norm", "output_layer_norm"),
)


@dataclass(frozen=True)
class Family:
    """One `model_type` of Hugging Face.

    Attributes:
        prefix: of the encoder's tensors in a model with a head.
        layers: prefix of a layer's tensors, before its number.
        layer: parts of a layer, its name to ours.
        sizes: our size to the configuration's key.
        left_out: prefixes of tensors that are not the encoder's: heads of other tasks, and constants.
        has_types: whether it tells first from second texts by an embedding.
        has_pooler: whether it has a dense layer on [CLS].
    """

    prefix: str
    layers: str
    layer: Mapping[str, str]
    sizes: Mapping[str, str]
    left_out: tuple[str, ...]
    has_types: bool = True
    has_pooler: bool = True

    def weight_names(self, layers: int, *, projection: bool) -> dict[str, str]:
        """The whole table of names, Hugging Face's to ours, for so many layers."""
        names = _EMBEDDINGS | (_TYPES if self.has_types else {}) | _EMBEDDINGS_NORM
        names |= (_POOLER if self.has_pooler else {}) | (_PROJECTION if projection else {})
        for number in range(layers):
            for theirs, ours in self.layer.items():
                weight, bias = ("gamma", "beta") if ours.endswith("layer_norm") else ("kernel", "bias")
                names[f"{self.layers}.{number}.{theirs}.weight"] = f"transformer/layer_{number}/{ours}/{weight}"
                names[f"{self.layers}.{number}.{theirs}.bias"] = f"transformer/layer_{number}/{ours}/{bias}"
        return names


_BERT_SIZES = {
    "vocabulary_size": "vocab_size",
    "layers": "num_hidden_layers",
    "width": "hidden_size",
    "heads": "num_attention_heads",
    "inner_width": "intermediate_size",
    "positions": "max_position_embeddings",
}
_BERT_LAYER = {bert: ours for bert, _, ours in _LAYER}
_HEADS = ("classifier.", "qa_outputs.")

FAMILIES = {
    "bert": Family(
        prefix="bert.",
        layers="encoder.layer",
        layer=_BERT_LAYER,
        sizes=_BERT_SIZES,
        left_out=("embeddings.position_ids", "cls.", *_HEADS),
    ),
    "electra": Family(
        prefix="electra.",
        layers="encoder.layer",
        layer=_BERT_LAYER,
        sizes=_BERT_SIZES | {"embedding_width": "embedding_size"},
        left_out=(
            "embeddings.position_ids",
            "discriminator_predictions.",
            "generator_predictions.",
            "generator_lm_head.",
            *_HEADS,
        ),
        has_pooler=False,
    ),
    "distilbert": Family(
        prefix="distilbert.",
        layers="transformer.layer",
        layer={distilbert: ours for _, distilbert, ours in _LAYER},
        sizes=_BERT_SIZES | {"layers": "n_layers", "width": "dim", "heads": "n_heads", "inner_width": "hidden_dim"},
        left_out=("vocab_transform.", "vocab_layer_norm.", "vocab_projector.", "pre_classifier.", *_HEADS),
        has_types=False,
        has_pooler=False,
    ),
}
