"""The size of a BERT encoder, and the Keras network built from it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf
import tf_keras
from official.nlp.modeling import networks

from bert_serving.encoders.gelu import gelu
from bert_serving.encoders.modernbert.architecture import MODEL_TYPE, TYPE_KEY, ModernBertArchitecture
from bert_serving.encoders.modernbert.network import build_modernbert
from bert_serving.errors import EncoderError

ACTIVATIONS = {
    "gelu": gelu,
    "gelu_tanh": lambda x: tf_keras.activations.gelu(x, approximate=True),
    "relu": tf_keras.activations.relu,
}
# Names that earlier versions wrote.
_RENAMED = {
    "vocabulary_size": "vocab_size",
    "layers": "num_hidden_layers",
    "width": "hidden_size",
    "heads": "num_attention_heads",
    "inner_width": "intermediate_size",
    "positions": "max_position_embeddings",
    "types": "type_vocab_size",
    "embedding_width": "embedding_size",
}
POOLER_ACTIVATIONS = ACTIVATIONS | {"tanh": tf_keras.activations.tanh}


@dataclass(frozen=True)
class Architecture:
    """Everything that fixes the shapes and the arithmetic of a BERT encoder."""

    vocab_size: int
    num_hidden_layers: int
    hidden_size: int
    num_attention_heads: int
    intermediate_size: int
    max_position_embeddings: int
    """longest sequence, in tokens"""
    type_vocab_size: int = 2
    activation: str = "gelu"
    dropout: float = 0.1
    attention_dropout: float = 0.1
    lower_case: bool = True
    embedding_size: int | None = None
    """of the embeddings, where a projection widens them (ELECTRA, ALBERT); None: the hidden size"""
    shared_layers: bool = False
    """whether all layers have the same weights (ALBERT)"""
    pooler_activation: str = "tanh"
    """of the pooler's dense layer; fine-tuned heads of other families than BERT have others"""
    layer_norm_eps: float = 1e-12
    """added to the variance in layer normalization"""

    @property
    def has_projection(self) -> bool:
        """Whether embeddings are narrower than layers."""
        return self.embedding_size not in (None, self.hidden_size)

    def save(self, path: Path) -> None:
        """Writes the architecture as JSON."""
        path.write_text(json.dumps(asdict(self), indent=2) + "\n", "utf-8")

    @classmethod
    def load(cls, path: Path) -> "Architecture":
        """Reads an architecture that `save` wrote.

        Raises:
            EncoderError: the file is damaged.
        """
        try:
            described = json.loads(path.read_text("utf-8"))
            return cls(**{_RENAMED.get(name, name): value for name, value in described.items()})
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise EncoderError(
                f"{path}: cannot read the encoder's description: {error}; convert the encoder again"
            ) from None


AnyArchitecture = Architecture | ModernBertArchitecture


def load_architecture(path: Path) -> AnyArchitecture:
    """Reads encoder.json: a BERT's, or that of the network which its `model_type` names.

    Raises:
        EncoderError: the file is damaged, or of a later version.
    """
    try:
        description = json.loads(path.read_text("utf-8"))
        if not isinstance(description, dict) or TYPE_KEY not in description:
            return Architecture.load(path)
        if description[TYPE_KEY] == MODEL_TYPE:
            return ModernBertArchitecture.described(description)
        raise ValueError(f"{TYPE_KEY} is {description[TYPE_KEY]!r}, expected {MODEL_TYPE!r} or none")
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise EncoderError(
            f"{path}: cannot read the encoder's description: {error}; convert the encoder again"
        ) from None


def layered_bert(architecture: AnyArchitecture | None) -> Architecture | None:
    """The architecture of a BERT whose layers have weights of their own; None for any other encoder."""
    if isinstance(architecture, Architecture) and not architecture.shared_layers:
        return architecture
    return None


def build_network(architecture: AnyArchitecture, *, blank: bool = False) -> tf_keras.Model:
    """Builds the encoder with random weights, or with zeros (`blank`) where weights are assigned later: drawing takes time.

    The network takes a dict of `input_word_ids`, `input_mask`, `input_type_ids` (int32 [B, L]) and returns `pooled_output`
    [B, H], `sequence_output` [B, L, H] and `encoder_outputs`, a list of [B, L, H] for each layer. Its variables carry the
    names that TF Hub's BERT encoders have, as far as these have the part.
    """
    if isinstance(architecture, ModernBertArchitecture):
        return build_modernbert(
            architecture,
            ACTIVATIONS[architecture.activation],
            POOLER_ACTIVATIONS[architecture.pooler_activation],
            blank=blank,
        )
    sizes = {
        "vocab_size": architecture.vocab_size,
        "hidden_size": architecture.hidden_size,
        "num_layers": architecture.num_hidden_layers,
        "num_attention_heads": architecture.num_attention_heads,
        "max_sequence_length": architecture.max_position_embeddings,
        "type_vocab_size": architecture.type_vocab_size,
        "dict_outputs": True,
        **({"initializer": "zeros"} if blank else {}),
    }
    activation = ACTIVATIONS[architecture.activation]
    if architecture.shared_layers:
        network = networks.AlbertEncoder(
            embedding_width=architecture.embedding_size,
            intermediate_size=architecture.intermediate_size,
            activation=activation,
            dropout_rate=architecture.dropout,
            attention_dropout_rate=architecture.attention_dropout,
            **sizes,
        )
    else:
        network = networks.BertEncoder(
            embedding_width=architecture.embedding_size if architecture.has_projection else None,
            inner_dim=architecture.intermediate_size,
            inner_activation=activation,
            output_dropout=architecture.dropout,
            attention_dropout=architecture.attention_dropout,
            **sizes,
        )
    network.get_layer("pooler_transform").activation = POOLER_ACTIVATIONS[architecture.pooler_activation]
    # The networks have 1e-12 without a parameter for it; layers read it at each call.
    for module in network.submodules:
        if isinstance(module, tf_keras.layers.LayerNormalization):
            module.epsilon = architecture.layer_norm_eps
    return network


def neutral_weights(architecture: Architecture, *, types: bool, pooler: bool) -> dict[str, np.ndarray]:
    """Weights of parts that an encoder lacks, such that the arithmetic stays that of the encoder.

    Args:
        architecture: of the encoder.
        types: add type embeddings of zeros.
        pooler: add a pooler that starts as the identity, as in TF Hub's ELECTRA.
    """
    weights: dict[str, np.ndarray] = {}
    if types:
        shape = (architecture.type_vocab_size, architecture.hidden_size)
        weights["type_embeddings/embeddings:0"] = np.zeros(shape, np.float32)
    if pooler:
        weights["pooler_transform/kernel:0"] = np.eye(architecture.hidden_size, dtype=np.float32)
        weights["pooler_transform/bias:0"] = np.zeros(architecture.hidden_size, np.float32)
    return weights


def rebuild_network(architecture: AnyArchitecture, weights: Mapping[str, np.ndarray]) -> tf_keras.Model:
    """Builds the encoder with these weights, by variable name.

    Raises:
        EncoderError: as `assign_weights`.
    """
    network = build_network(architecture, blank=True)
    assign_weights(network, weights)
    return network


def assign_weights(network: tf_keras.Model, weights: Mapping[str, np.ndarray]) -> None:
    """Copies weights into an encoder or a classifier by variable name.

    Raises:
        EncoderError: a name or a shape differs; the first differences are listed.
    """
    variables = {variable.name: variable for variable in network.variables}
    problems = [f"{name} is missing" for name in sorted(variables.keys() - weights.keys())]
    problems += [f"{name} is unknown" for name in sorted(weights.keys() - variables.keys())]
    problems += [
        f"{name} has shape {tuple(weights[name].shape)}, expected {tuple(variables[name].shape)}"
        for name in sorted(variables.keys() & weights.keys())
        if tuple(weights[name].shape) != tuple(variables[name].shape)
    ]
    if problems:
        raise EncoderError(f"the weights do not fit: {listed_problems(problems)}")
    for name, variable in variables.items():
        variable.assign(weights[name])


def listed_problems(problems: Sequence[str], most: int = 5) -> str:
    """The first problems of a list, and how many more there are, for a message."""
    return "; ".join(problems[:most]) + (f"; and {len(problems) - most} more" if len(problems) > most else "")


def sample_inputs(vocab_size: int, *, rows: int = 2, length: int = 8) -> dict[str, tf.Tensor]:
    """A small batch of valid inputs for comparing two encoders, its last row half padding."""
    ids = np.arange(rows * length).reshape(rows, length) % vocab_size
    mask = np.ones((rows, length), np.int32)
    mask[-1, length // 2 :] = 0
    return {
        "input_word_ids": tf.constant(ids * mask, tf.int32),
        "input_mask": tf.constant(mask),
        "input_type_ids": tf.zeros([rows, length], tf.int32),
    }
