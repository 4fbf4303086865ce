"""Converts a fine-tuned Hugging Face classifier: no training, the same probabilities."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bert_serving.classifier import Classifier, ClassifierOptions, build_classifier
from bert_serving.contract import Pooling
from bert_serving.encoders.architecture import Architecture, assign_weights
from bert_serving.encoders.conversion.classification_head import DEFAULT_LABEL, FineTunedHead, read_head
from bert_serving.encoders.conversion.families import FAMILIES
from bert_serving.encoders.conversion.hugging_face import encoder_weights, read_description, read_weights
from bert_serving.encoders.license import LicenseAndLanguages, licensing_of_readme
from bert_serving.encoders.loading import LoadedEncoder, network_from
from bert_serving.errors import EncoderError
from bert_serving.io.cache import folder_sha256
from bert_serving.text.preprocessing import load_preprocessing

# Of a tokenizer that sets none.
_SEQUENCE_LENGTH = 512


@dataclass(frozen=True)
class ConvertedClassifier:
    """A classifier that was fine-tuned elsewhere.

    Attributes:
        classifier: in memory.
        sha256: digest of its files.
        licensing: license and languages, as far as its README has them.
        architecture: its class in transformers, or the kind of its files.
        transformers: version of transformers that wrote it; None where config.json does not have it.
        notes: what its author may not know of it, a line each.
    """

    classifier: Classifier
    sha256: str
    licensing: LicenseAndLanguages
    architecture: str
    transformers: str | None
    notes: tuple[str, ...] = ()


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
    config, tokenizer, architecture = read_description(folder)
    if (
        pairs
        and isinstance(architecture, Architecture)
        and tokenizer.pieces.second_type
        and architecture.type_vocab_size > 1
        and FAMILIES[config["model_type"]].has_types
        and not tokenizer.has_types
    ):
        raise EncoderError(
            f"{folder}: not every version of transformers gives the model of this tokenizer token_type_ids, which tell the texts of "
            "a pair apart; if it was fine-tuned with them, add them to model_input_names in tokenizer_config.json"
        )
    tensors = read_weights(folder)
    head = read_head(folder, config, tensors)
    architecture, weights = encoder_weights(tensors, architecture, config)
    if head.pooler is not None and head.activation is not None:
        kernel, bias = head.pooler
        weights |= {"pooler_transform/kernel:0": kernel, "pooler_transform/bias:0": bias}
        architecture = dataclasses.replace(architecture, pooler_activation=head.activation)
    tokenizer.pieces.write(scratch / "preprocessing")
    encoder = LoadedEncoder(network_from(architecture, blank=True), architecture)
    assign_weights(encoder.layer, weights)
    options = ClassifierOptions(
        labels=head.labels,
        head=head.head,
        sequence_length=sequence_length or trained_length(tokenizer.max_length, architecture.max_position_embeddings),
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
        str((config.get("architectures") or [f"{config['model_type']} with a classification head"])[0]),
        str(config["transformers_version"]) if config.get("transformers_version") else None,
        tuple(_notes(head, unused_rows=architecture.vocab_size - tokenizer.pieces.size)),
    )


def _notes(head: FineTunedHead, *, unused_rows: int) -> Iterator[str]:
    if unused_rows:
        yield f"the embedding table has {unused_rows} rows more than the vocabulary has tokens; they are never used"
    if head.labels and all(label.startswith(DEFAULT_LABEL) for label in head.labels):
        yield (
            f"its labels are {head.labels[0]} to {head.labels[-1]}, the names of a model without any; write their names to id2label in "
            "its config.json, and export again"
        )


def trained_length(longest: int | None, positions: int) -> int:
    """Sequence length in tokens: the tokenizer's, None for one without a limit, at most what the encoder takes."""
    return min(positions, longest or _SEQUENCE_LENGTH)


def _assign_head(classifier: Classifier, head: FineTunedHead, folder: Path) -> None:
    layer = classifier.token_model.get_layer("head")
    values = [np.asarray(value, np.float32) for value in head.output]
    if [value.shape for value in values] != [tuple(variable.shape) for variable in layer.variables]:
        shapes = " and ".join(str(value.shape) for value in values)
        raise EncoderError(f"{folder}: its head has shapes {shapes}, which do not fit an encoder of its config.json")
    layer.set_weights(values)
