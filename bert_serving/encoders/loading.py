"""From a name or a folder to an encoder that a classifier can be built on."""

import contextlib
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import tensorflow as tf
import tensorflow_hub as hub
import tf_keras

from bert_serving import contract
from bert_serving.cache import cached, cached_intact, file_sha256, folder_sha256, recorded_sha256
from bert_serving.config import EncoderConfig
from bert_serving.encoders.architecture import (
    ACTIVATIONS,
    Architecture,
    assign_weights,
    build_network,
    rebuild_network,
    reproducible_dropout,
    sample_inputs,
)
from bert_serving.encoders.catalog.handles import CONVERSION, Handle, cache_key, find_handle
from bert_serving.encoders.conversion.formats import ORIGINS, convert_folder, is_encoder_folder, origin_of, settle
from bert_serving.encoders.conversion.hugging_face import DESCRIPTION, ENCODER, PREPROCESSING, read_encoder
from bert_serving.encoders.conversion.run_folder import is_run_folder, weights_sha256
from bert_serving.encoders.download.archive import SUFFIXES, is_archive, top_folder, unpack
from bert_serving.encoders.download.hugging_face_hub import read_commit
from bert_serving.encoders.download.sources import fetch_first
from bert_serving.encoders.license import UNKNOWN, Terms, readme_terms, run_terms
from bert_serving.encoders.trust import check_harmless
from bert_serving.errors import EncoderError
from bert_serving.text.preprocessing import SENTENCEPIECE_FILE, VOCABULARY_FILE

# Two implementations of one encoder differ by rounding only; a wrong activation differs by 1e-3 and more.
_SAME_ENCODER = 1e-4
# The graph of a SavedModel is written a little differently each time; the variables are not.
_VARIABLES = contract.VARIABLES_FOLDER
# The name that TF Hub's encoders give their table of positions.
_POSITIONS = "position_embedding/embeddings:0"
_CONTENT = "content"

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class EncoderFolder:
    """A hub-format encoder on disk.

    Attributes:
        name: what the run file called it.
        encoder: its SavedModel.
        preprocessing: the SavedModel of its preprocessing.
        sha256: digest of the encoder's variables.
        terms: its license and languages, as far as they are known.
        commit: of the Hugging Face repository that it came from; None where it came another way.
        architecture: of an encoder that conversion wrote to the cache, where it is as it was written; None where the SavedModel must be
            asked.
    """

    name: str
    encoder: Path
    preprocessing: Path
    sha256: str
    terms: Terms = UNKNOWN
    commit: str | None = None
    architecture: Architecture | None = None


@dataclass(frozen=True)
class LoadedEncoder:
    """An encoder in memory.

    Attributes:
        layer: Keras layer from a dict of `TOKEN_INPUTS` to a dict of outputs.
        architecture: known for encoders rebuilt as Keras networks; None for a `hub.KerasLayer`.
    """

    layer: tf_keras.layers.Layer
    architecture: Architecture | None

    @property
    def positions(self) -> int | None:
        """The longest sequence that the encoder takes, in tokens; None where it sets no limit, or does not tell it."""
        if self.architecture is not None:
            return self.architecture.max_position_embeddings
        tables = (each for each in self.layer.weights if each.name.endswith(_POSITIONS))
        return next((int(table.shape[0]) for table in tables), None)

    def check_length(self, tokens: int, name: str) -> None:
        """Refuses sequences that are longer than the encoder takes.

        Args:
            tokens: length of the sequences.
            name: what sets it, for the message.

        Raises:
            EncoderError: they are too long.
        """
        if self.positions is not None and tokens > self.positions:
            raise EncoderError(f"{name} is {tokens}, the encoder takes at most {self.positions} tokens; lower it")


def find_encoder_folder(
    config: EncoderConfig,
    *,
    passed_over: Callable[[str], None] = lambda line: None,
    progress: Callable[[int, int | None], None] | None = None,
) -> EncoderFolder:
    """Finds the encoder of a run file, fetching and converting it when it is not cached.

    Args:
        config: the encoder's name or path.
        passed_over: told, in one line, of each source that could not deliver.
        progress: told of the bytes fetched and their total where known.

    Raises:
        EncoderError: the name is unknown, the folder is no encoder, or a SavedModel from elsewhere could do harm.
        SourceError: no source of the name could deliver it.
    """
    if config.path is not None:
        return _local_folder(config.path, config)
    handle = find_handle(str(config.name), None if config.preprocessing is None else str(config.preprocessing))

    def build(target: Path) -> None:
        arrived = target / "download"
        fetch_first(handle.name, handle.sources, arrived, progress=progress, passed_over=passed_over)
        _check_before_conversion(arrived, handle.name)
        settle(arrived, target)

    folder, sha256 = _sound_entry(cache_key(handle), build, passed_over)
    found = _cached_encoder(handle.name, folder, _terms_of(handle, folder), sha256)
    return _checked(replace(found, commit=read_commit(folder)), config)


def _sound_entry(
    key: str, build: Callable[[Path], None], damaged: Callable[[str], None] = lambda line: None
) -> tuple[Path, str]:
    """The cache's encoder folder and the digest of the encoder's variables; built anew where it is not what was written."""
    folder = cached_intact(key, build, damaged=damaged)
    return folder, recorded_sha256(folder, f"{ENCODER}/{_VARIABLES}")


def _terms_of(handle: Handle, folder: Path) -> Terms:
    return readme_terms(folder) if handle.terms == UNKNOWN else handle.terms


def _check_before_conversion(arrived: Path, name: str) -> None:
    """Tells what is amiss with what arrived in words of the encoder's name, not of a temporary folder."""
    if is_encoder_folder(arrived) and not (arrived / PREPROCESSING).is_dir():
        raise EncoderError(
            f"{name}: comes without preprocessing; name that of its vocabulary in encoder.preprocessing, such as "
            '"https://tfhub.dev/tensorflow/bert_en_uncased_preprocess/3"'
        )


def _is_ours(folder: Path) -> bool:
    """Whether we wrote the encoder's SavedModel ourselves; in the cache a description comes from conversion only."""
    return (folder / DESCRIPTION).is_file()


def _cached_encoder(name: str, folder: Path, terms: Terms, sha256: str) -> EncoderFolder:
    """A sound entry of the cache, with what its description tells."""
    found = _encoder_folder(name, folder, terms, sha256)
    return replace(found, architecture=Architecture.load(folder / DESCRIPTION)) if _is_ours(folder) else found


def _checked(folder: EncoderFolder, config: EncoderConfig) -> EncoderFolder:
    """The folder, if nothing in it could do harm when it is loaded.

    That conversion wrote an encoder speaks for the encoder alone: the preprocessing of a run is a copy of what its folder holds, which
    anyone may have written.
    """
    if not config.trusted:
        is_ours = folder.architecture is not None
        for part in (folder.preprocessing,) if is_ours else (folder.encoder, folder.preprocessing):
            if (part / contract.GRAPH_FILE).is_file():
                check_harmless(part)
    return folder


def unpacked(archive: Path) -> Path:
    """The cache's folder with an archive's content; another path as it is.

    Raises:
        EncoderError: the archive is damaged or holds what may not be unpacked.
    """
    if not (archive.is_file() and is_archive(archive)):
        return archive

    def build(target: Path) -> None:
        (target / _CONTENT).mkdir()
        unpack(archive, target / _CONTENT)

    content = cached(f"unpacked-{file_sha256(archive)[:32]}", build) / _CONTENT
    return content if is_encoder_folder(content) else top_folder(content)


def load_encoder(folder: EncoderFolder, *, trainable: bool = True, rebuild: bool = True) -> LoadedEncoder:
    """Loads an encoder for training or inference.

    A BERT encoder is rebuilt as a Keras network from the variables of its SavedModel, which allows mixed precision, dropout from
    a seed and other serving graphs; the rebuilt network must give the SavedModel's own outputs, unless the folder tells its
    architecture. Anything else, or everything when `rebuild` is false, stays a `hub.KerasLayer`.

    Raises:
        EncoderError: the folder holds no loadable encoder.
    """
    if not (folder.encoder / contract.GRAPH_FILE).is_file():
        raise EncoderError(
            f"{folder.encoder}: no encoder SavedModel here (saved_model.pb is missing); check encoder.path"
        )
    if rebuild and folder.architecture is not None:
        network = network_from(folder.architecture, blank=True)
        read_encoder(network, folder.encoder)
        network.trainable = trainable
        return LoadedEncoder(network, folder.architecture)
    found = _outside_strategies(lambda: _examine(folder, rebuild=rebuild))
    if found is None:
        return LoadedEncoder(hub.KerasLayer(_load(folder.encoder), trainable=trainable, name="encoder"), None)
    architecture, weights = found
    network = network_from(architecture, blank=True)
    assign_weights(network, weights)
    network.trainable = trainable
    return LoadedEncoder(network, architecture)


def network_from(architecture: Architecture, *, blank: bool = False) -> tf_keras.Model:
    """An encoder network, as `build_network` makes it, whose dropout can be seeded."""
    with reproducible_dropout():
        return build_network(architecture, blank=blank)


def infer_architecture(weights: Mapping[str, np.ndarray]) -> Architecture | None:
    """Reads the size of a BERT encoder off its variables; None when they are not those of a BERT."""
    try:
        vocabulary, embedding_width = weights["word_embeddings/embeddings:0"].shape
        positions, _ = weights["position_embedding/embeddings:0"].shape
        types, _ = weights["type_embeddings/embeddings:0"].shape
        width, heads, _ = weights["transformer/layer_0/self_attention/query/kernel:0"].shape
        _, inner_width = weights["transformer/layer_0/intermediate/kernel:0"].shape
    except (KeyError, ValueError):
        return None
    found = {int(match[1]) for name in weights if (match := re.match(r"transformer/layer_(\d+)/", name))}
    return Architecture(
        vocab_size=vocabulary,
        num_hidden_layers=max(found) + 1,
        hidden_size=width,
        num_attention_heads=heads,
        intermediate_size=inner_width,
        max_position_embeddings=positions,
        type_vocab_size=types,
        embedding_width=None if embedding_width == width else embedding_width,
    )


def _outside_strategies(function: Callable[[], _Result]) -> _Result:
    """Calls `function` where no `tf.distribute` scope is entered; scopes are a thread's own.

    A SavedModel loaded within the scope of several replicas can only be called on a replica.
    """
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(function).result()


def _examine(folder: EncoderFolder, *, rebuild: bool) -> tuple[Architecture, dict[str, np.ndarray]] | None:
    """Architecture and weights of an encoder that can be rebuilt; None for another text encoder."""
    model = _load(folder.encoder)
    described = folder.encoder.parent / DESCRIPTION
    if rebuild:
        # TF Hub's encoders hold more than weights: whether to lower-case is a boolean variable there.
        variables = [each for each in getattr(model, "variables", []) if each.dtype.is_floating]
        weights = {variable.name: variable.numpy() for variable in variables}
        architecture = Architecture.load(described) if described.is_file() else None
        if (found := _same_architecture(model, weights, architecture)) is not None:
            return found, weights
    _check_interface(model, folder.encoder)
    return None


def _load(path: Path) -> Any:
    try:
        return tf.saved_model.load(str(path))
    except (OSError, ValueError, IndexError, tf.errors.OpError) as error:
        # IndexError is what TensorFlow makes of a file of variables that is too short.
        raise EncoderError(f"{path}: cannot load the encoder: {str(error).splitlines()[0]}") from None


def _same_architecture(
    model: Any, weights: Mapping[str, np.ndarray], architecture: Architecture | None
) -> Architecture | None:
    """The architecture whose network gives the outputs of `model`; None when there is none."""
    inferred = architecture or infer_architecture(weights)
    if inferred is None:
        return None
    inputs = sample_inputs(inferred.vocab_size)
    try:
        expected = model(inputs, training=False)[contract.SEQUENCE_OUTPUT]
    except (KeyError, TypeError, ValueError, tf.errors.OpError):
        return None
    # The variables tell every size, but not the activation between the dense layers.
    for activation in [architecture.activation] if architecture else list(ACTIVATIONS):
        candidate = Architecture(**{**vars(inferred), "activation": activation})
        try:
            with _float32():
                network = rebuild_network(candidate, weights)
        except EncoderError:
            return None
        if float(tf.reduce_max(tf.abs(network(inputs)[contract.SEQUENCE_OUTPUT] - expected))) < _SAME_ENCODER:
            return candidate
    return None


@contextlib.contextmanager
def _float32() -> Iterator[None]:
    """Layers built inside compute in float32, where rounding cannot hide another activation."""
    before = tf_keras.mixed_precision.global_policy()
    tf_keras.mixed_precision.set_global_policy("float32")
    try:
        yield
    finally:
        tf_keras.mixed_precision.set_global_policy(before)


def _check_interface(model: Any, path: Path) -> None:
    try:
        outputs = hub.KerasLayer(model)(sample_inputs(1))
    except (TypeError, ValueError, tf.errors.OpError):
        outputs = None
    if not isinstance(outputs, Mapping) or contract.POOLED_OUTPUT not in outputs:
        raise EncoderError(
            f"{path}: not a text encoder of TF Hub's format, which takes {', '.join(contract.TOKEN_INPUTS)} and gives "
            f"{contract.POOLED_OUTPUT}; check encoder.path"
        )


def _local_folder(path: Path, config: EncoderConfig) -> EncoderFolder:
    if path.is_file() and is_archive(path):
        return replace(_local_folder(unpacked(path), config), name=path.name)
    if not path.is_dir():
        problem = f"is no folder, and no archive ({', '.join(SUFFIXES)})" if path.exists() else "no such encoder folder"
        raise EncoderError(f"{path}: {problem}; check encoder.path")
    if config.preprocessing is not None and (
        is_run_folder(path) or is_encoder_folder(path) or origin_of(path) is not None
    ):
        raise EncoderError(
            f"{path}: comes with its own preprocessing, but encoder.preprocessing names another one; leave encoder.preprocessing out"
        )
    if is_run_folder(path):
        # A run's weights alone do not tell it: its preprocessing may have been exchanged.
        content = hashlib.sha256(f"{weights_sha256(path)} {folder_sha256(path / PREPROCESSING)}".encode()).hexdigest()
        folder, sha256 = _converted(path, content)
        return _checked(_cached_encoder(path.name, folder, run_terms(path), sha256), config)
    if origin_of(path) is not None:
        folder, sha256 = _converted(path, folder_sha256(path))
        return _checked(_cached_encoder(path.name, folder, readme_terms(path), sha256), config)
    if is_encoder_folder(path):
        sha256 = folder_sha256(path / ENCODER / _VARIABLES)
        return _checked(_encoder_folder(path.name, path, readme_terms(path), sha256), config)
    if not (path / contract.GRAPH_FILE).is_file():
        kinds = ", nor ".join(f"a {origin.name} ({origin.mark})" for origin in reversed(ORIGINS))
        raise EncoderError(
            f"{path}: neither {kinds}, nor an encoder folder ({ENCODER}/, {PREPROCESSING}/), nor a SavedModel; check encoder.path"
        )
    if config.preprocessing is None:
        raise EncoderError(
            f"{path}: the encoder folder has no vocabulary; name its preprocessing SavedModel in encoder.preprocessing"
        )
    preprocessing = Path(config.preprocessing)
    return _checked(EncoderFolder(path.name, path, preprocessing, folder_sha256(path / _VARIABLES)), config)


def _converted(path: Path, sha256: str) -> tuple[Path, str]:
    """The cache's encoder folder for a folder of another format with this digest, and the digest of the encoder's variables."""
    # An entry's name in the cache is plainer and shorter than a folder's may be.
    name = re.sub(r"[^A-Za-z0-9._-]", "_", path.name)[:100]
    return _sound_entry(f"converted-{name}-{sha256[:16]}-{CONVERSION}", lambda target: convert_folder(path, target))


def _encoder_folder(name: str, folder: Path, terms: Terms, sha256: str) -> EncoderFolder:
    preprocessing = folder / PREPROCESSING
    assets = [preprocessing / contract.ASSETS_FOLDER / each for each in (VOCABULARY_FILE, SENTENCEPIECE_FILE)]
    # Preprocessing from elsewhere may carry its vocabulary under another name, or inside its graph.
    is_foreign = (preprocessing / contract.GRAPH_FILE).is_file() and not _is_ours(folder)
    if not is_foreign and not any(path.is_file() for path in assets):
        raise EncoderError(
            f"{folder}: the encoder folder has no vocabulary ({PREPROCESSING}/assets/{VOCABULARY_FILE} is missing)"
        )
    return EncoderFolder(name, folder / ENCODER, preprocessing, sha256, terms)
