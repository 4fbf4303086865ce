"""Converts a fine-tuned Hugging Face classifier: no training, the same probabilities."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bert_serving.classifier import Classifier, ClassifierOptions, build_classifier
from bert_serving.contract import Pooling
from bert_serving.encoders.architecture import assign_weights
from bert_serving.encoders.conversion.classification_head import FineTunedHead, read_head
from bert_serving.encoders.conversion.hugging_face import read_description, rename_weights, uses_sentencepiece
from bert_serving.encoders.conversion.tokenizer import read_tokenizer_settings, write_tokenizer
from bert_serving.encoders.license import LicenseAndLanguages, licensing_of_readme
from bert_serving.encoders.loading import LoadedEncoder, network_from
from bert_serving.encoders.safetensors_file import read_safetensors
from bert_serving.errors import EncoderError
from bert_serving.io.cache import folder_sha256
from bert_serving.text.preprocessing import load_preprocessing

# Of a tokenizer that sets none.
_SEQUENCE_LENGTH = 512
# transformers writes a huge number where there is no limit.
_NO_LIMIT = 1e6


@dataclass(frozen=True)
class ConvertedClassifier:
    """A classifier that was fine-tuned with Hugging Face's library.

    Attributes:
        classifier: in memory.
        sha256: digest of its folder.
        licensing: license and languages, as far as its README has them.
        architecture: its class in transformers.
        transformers: version of transformers that wrote it; None where config.json does not have it.
    """

    classifier: Classifier
    sha256: str
    licensing: LicenseAndLanguages
    architecture: str
    transformers: str | None


def convert_classifier(
    folder: Path, scratch: Path, *, sequence_length: int | None = None, pairs: bool = False
) -> ConvertedClassifier:
    """Builds the classifier of a `...ForSequenceClassification` folder.

    Args:
        folder: in Hugging Face's format; weights as safetensors.
        scratch: folder for the preprocessing SavedModel; must exist as long as the classifier is used.
        sequence_length: texts are cut at this number of tokens; None: that of the tokenizer, at most what the encoder takes.
        pairs: whether it classifies pairs of texts.

    Raises:
        EncoderError: a file is missing or damaged, or the model is not a classifier of a supported family.
    """
    config, settings, architecture = read_description(folder)
    tensors = read_safetensors(folder)
    head = read_head(folder, config, tensors)
    weights = rename_weights(tensors, architecture, config["model_type"]) | {
        "pooler_transform/kernel:0": head.pooler[0],
        "pooler_transform/bias:0": head.pooler[1],
    }
    architecture = dataclasses.replace(architecture, pooler_activation=head.activation)
    write_tokenizer(
        folder,
        scratch / "preprocessing",
        settings,
        vocab_size=architecture.vocab_size,
        sentencepiece=uses_sentencepiece(folder, config),
    )
    encoder = LoadedEncoder(network_from(architecture, blank=True), architecture)
    assign_weights(encoder.layer, weights)
    length = sequence_length or trained_length(folder, architecture.max_position_embeddings)
    options = ClassifierOptions(
        labels=head.labels,
        head=head.head,
        sequence_length=length,
        pairs=pairs,
        pooling=Pooling.POOLER,
        dropout=head.dropout,
    )
    classifier = build_classifier(encoder, load_preprocessing(scratch / "preprocessing"), options)
    _assign_head(classifier, head, folder)
    return ConvertedClassifier(
        classifier,
        folder_sha256(folder),
        licensing_of_readme(folder),
        str(config["architectures"][0]),
        str(config["transformers_version"]) if config.get("transformers_version") else None,
    )


def trained_length(folder: Path, positions: int) -> int:
    """Sequence length of a folder's tokenizer in tokens, at most what the encoder takes."""
    length = read_tokenizer_settings(folder).get("model_max_length")
    if isinstance(length, int | float) and 4 <= length < _NO_LIMIT:
        return min(positions, int(length))
    return min(positions, _SEQUENCE_LENGTH)


def _assign_head(classifier: Classifier, head: FineTunedHead, folder: Path) -> None:
    layer = classifier.token_model.get_layer("head")
    values = [np.asarray(value, np.float32) for value in head.output]
    if [value.shape for value in values] != [tuple(variable.shape) for variable in layer.variables]:
        shapes = " and ".join(str(value.shape) for value in values)
        raise EncoderError(f"{folder}: its head has shapes {shapes}, which do not fit an encoder of its config.json")
    layer.set_weights(values)
