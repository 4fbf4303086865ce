"""An encoder with a masked-language-model head: how it is initialized, and how it is written."""

import math
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import tensorflow as tf
import tf_keras
from official.nlp.modeling import layers
from safetensors.numpy import save_file

from bert_serving import contract
from bert_serving.config import EncoderConfig
from bert_serving.encoders.architecture import (
    ACTIVATIONS,
    Architecture,
    build_network,
    rebuild_network,
)
from bert_serving.encoders.dropout import reproducible_dropout
from bert_serving.encoders.folder import DESCRIPTION, ENCODER, PREPROCESSING, copy_documents
from bert_serving.encoders.loading import load_encoder, network_from
from bert_serving.encoders.lookup import find_encoder_folder
from bert_serving.encoders.safetensors_file import read_safetensors
from bert_serving.encoders.tf_hub_format import ReusableEncoder, write_encoder
from bert_serving.errors import EncoderError
from bert_serving.io.saved_models import write_saved_model
from bert_serving.pretraining.config import PositionInitializer, StartConfig
from bert_serving.pretraining.masking import POSITIONS
from bert_serving.text.preprocessing import VOCABULARY_FILE, write_preprocessing
from bert_serving.text.vocabulary import read_vocabulary

HEAD = "mlm_head.safetensors"
LOGITS = "mlm_logits"
WITH_HEAD = "encoder_with_mlm"
_CAN_BE_PRETRAINED = "a BERT, DistilBERT or ELECTRA"
# Standard deviation of new weights, as in BERT.
_STDDEV = 0.02
# Standard deviation of sinusoidal position embeddings; above that of the words, so that positions differ from the first step on.
_POSITIONS_STDDEV = 0.05


@dataclass(frozen=True)
class MaskedLanguageModel:
    """An encoder that predicts masked tokens.

    Attributes:
        architecture: that of the encoder.
        network: the encoder.
        pretrainer: Keras model from a dict of `TOKEN_INPUTS` and `masked_lm_positions` (int32 [B, P]) to a dict with `mlm_logits`,
            float32 [B, P, vocabulary].
    """

    architecture: Architecture
    network: tf_keras.Model
    pretrainer: tf_keras.Model

    def logits(self, tokens: dict[str, tf.Tensor], positions: tf.Tensor, *, training: bool) -> tf.Tensor:
        """Logits at some positions, float32 [B, P, vocabulary]."""
        return self.pretrainer({**tokens, POSITIONS: positions}, training=training)[LOGITS]

    def save_head(self, path: Path) -> None:
        """Writes the weights of the head, so that pretraining can be continued."""
        save_file({variable.name: variable.numpy() for variable in self._head()}, path)

    def load_head(self, path: Path) -> None:
        """Reads what `save_head` wrote.

        Raises:
            EncoderError: the weights do not fit.
        """
        weights = read_safetensors(path)
        for variable in self._head():
            if tuple(getattr(weights.get(variable.name), "shape", ())) != tuple(variable.shape):
                raise EncoderError(
                    f"{path}: {variable.name} is missing or has another shape; remove the file to start anew"
                )
            variable.assign(weights[variable.name])

    def _head(self) -> list[tf.Variable]:
        encoder = {id(variable) for variable in self.network.variables}
        return [variable for variable in self.pretrainer.variables if id(variable) not in encoder]


def start(
    config: StartConfig,
    target: Path,
    *,
    seed: int,
    passed_over: Callable[[str], None],
    progress: Callable[[int, int | None], None] | None = None,
) -> MaskedLanguageModel:
    """Builds the model that pretraining starts from, and writes its preprocessing.

    Args:
        config: an encoder, or a size.
        target: folder that gets `preprocessing/`.
        seed: random seed of new weights.
        passed_over: told of each source that failed.
        progress: told of the bytes downloaded and their total where known.

    Raises:
        EncoderError: there is no such encoder, or it cannot be rebuilt as a Keras network.
        SourceError: it could not be downloaded.
    """
    tf_keras.utils.set_random_seed(seed)
    head: Path | None = None
    if config.num_hidden_layers is None:
        source = config.model_dump(include={"name", "path", "preprocessing", "trusted"})
        folder = find_encoder_folder(EncoderConfig(**source), passed_over=passed_over, progress=progress)
        vocabulary = folder.preprocessing / contract.ASSETS_FOLDER / VOCABULARY_FILE
        if not vocabulary.is_file():
            raise EncoderError(
                f"{folder.name}: its preprocessing has no WordPiece vocabulary (assets/{VOCABULARY_FILE}), so it cannot be pretrained; "
                f"take {_CAN_BE_PRETRAINED}"
            )
        loaded = load_encoder(folder)
        if not isinstance(loaded.architecture, Architecture):
            raise EncoderError(
                f"{folder.name}: its network is not known to be a BERT, so it cannot be pretrained; take {_CAN_BE_PRETRAINED}"
            )
        architecture, network = loaded.architecture, loaded.layer
        read_vocabulary(vocabulary, rows=architecture.vocab_size)
        # Copied, not rebuilt: it may hold a normalizer of the user's, or rules that are not in the vocabulary.
        shutil.copytree(folder.preprocessing, target / PREPROCESSING)
        copy_documents(folder.encoder.parent, target)
        head = folder.encoder.parent / HEAD
    else:
        architecture = new_architecture(config)
        network = network_from(architecture)
        initialize_positions(network, config.position_initializer)
        _write_preprocessing(Path(str(config.vocabulary)), target / PREPROCESSING, lower_case=config.lower_case)
    model = _with_head(architecture, network)
    if head is not None and head.is_file():
        model.load_head(head)
    return model


def new_architecture(config: StartConfig) -> Architecture:
    """The architecture of a new encoder.

    Raises:
        EncoderError: its vocabulary cannot be read.
    """
    width = int(config.hidden_size or 0)
    return Architecture(
        vocab_size=len(read_vocabulary(Path(str(config.vocabulary)))),
        num_hidden_layers=int(config.num_hidden_layers or 0),
        hidden_size=width,
        num_attention_heads=int(config.num_attention_heads or 0),
        intermediate_size=config.intermediate_size or 4 * width,
        max_position_embeddings=config.max_position_embeddings,
        lower_case=config.lower_case,
    )


def initialize_positions(network: tf_keras.Model, initializer: PositionInitializer) -> None:
    """Initializes the position embeddings of a new encoder; `random` leaves those that it was built with.

    Sinusoids are those of Vaswani et al. 2017 (https://arxiv.org/abs/1706.03762), section 3.5: a step to a neighbor is the same
    linear map from every position. The longest wave spans all positions of the encoder.
    """
    if initializer == "random":
        return
    (table,) = network.get_layer("position_embedding").variables
    positions, width = table.shape
    waves = layers.RelativePositionEmbedding(width, max_timescale=positions / (2 * math.pi))(None, length=positions)
    # The mean square of sine and cosine is a half.
    table.assign(waves * (_POSITIONS_STDDEV * math.sqrt(2)))


def write_new_encoder(config: StartConfig, target: Path, *, seed: int) -> None:
    """Writes an encoder folder with random weights.

    Raises:
        EncoderError: its vocabulary cannot be read.
    """
    architecture = new_architecture(config)
    tf_keras.utils.set_random_seed(seed)
    target.mkdir(parents=True)
    network = build_network(architecture)
    initialize_positions(network, config.position_initializer)
    write_encoder(network, target / ENCODER)
    _write_preprocessing(Path(str(config.vocabulary)), target / PREPROCESSING, lower_case=config.lower_case)
    architecture.save(target / DESCRIPTION)


def write_pretrained(model: MaskedLanguageModel, target: Path) -> None:
    """Writes the encoder with and without its head into a folder with its preprocessing, so that `encoder.path` takes the folder."""
    # Rebuilt: the trained network's dropout draws from generators that a SavedModel must not carry.
    weights = {variable.name: variable.numpy() for variable in model.network.variables}
    network = rebuild_network(model.architecture, weights)
    write_encoder(network, target / ENCODER)
    fresh = _with_head(model.architecture, network)
    model.save_head(target / HEAD)
    fresh.load_head(target / HEAD)
    root = ReusableEncoder(network)
    root.mlm = _Mlm(fresh.pretrainer)
    write_saved_model(root, target / WITH_HEAD)
    model.architecture.save(target / DESCRIPTION)


class _Mlm(tf.train.Checkpoint):
    """`.mlm` of TF Hub's pretrained text encoders: takes `masked_lm_positions` too, and returns `mlm_logits` besides the outputs."""

    def __init__(self, pretrainer: tf_keras.Model):
        super().__init__()
        self._pretrainer = pretrainer
        self.variables = list(pretrainer.variables)
        self.trainable_variables = list(pretrainer.trainable_variables)
        self.regularization_losses: list[tf.Tensor] = []
        names = (*contract.TOKEN_INPUTS, POSITIONS)
        spec = {name: tf.TensorSpec([None, None], tf.int32, name=name) for name in names}
        for training in (False, True):
            self.__call__.get_concrete_function(spec, training=training)

    @tf.function  # type: ignore[untyped-decorator]  # TensorFlow has no annotations
    def __call__(self, inputs: dict[str, tf.Tensor], training: bool = False) -> dict[str, tf.Tensor]:
        return dict(self._pretrainer(inputs, training=training))


def _with_head(architecture: Architecture, network: tf_keras.Model) -> MaskedLanguageModel:
    """Joins an encoder and a head, which shares the encoder's table of word embeddings."""
    names = (*contract.TOKEN_INPUTS, POSITIONS)
    inputs = {name: tf_keras.layers.Input((None,), dtype=tf.int32, name=name) for name in names}
    with reproducible_dropout():
        outputs = dict(network({name: inputs[name] for name in contract.TOKEN_INPUTS}))
        head = layers.MaskedLM(
            embedding_table=network.get_embedding_table(),
            activation=ACTIVATIONS[architecture.activation],
            initializer=tf_keras.initializers.TruncatedNormal(stddev=_STDDEV),
            name="cls/predictions",
        )
        outputs[LOGITS] = head(outputs[contract.SEQUENCE_OUTPUT], masked_positions=inputs[POSITIONS])
    return MaskedLanguageModel(architecture, network, tf_keras.Model(inputs, outputs, name="pretrainer"))


def _write_preprocessing(vocabulary: Path, target: Path, *, lower_case: bool) -> None:
    # The asset of a SavedModel keeps the name of its file.
    copied = target.parent / VOCABULARY_FILE
    copied.write_bytes(vocabulary.read_bytes())
    write_preprocessing(copied, target, lower_case=lower_case)
    copied.unlink()
