"""A classifier that run_classifier.py of google-research/bert fine-tuned: a checkpoint of TensorFlow 1 with its head."""

from collections.abc import Iterator
from pathlib import Path

from bert_serving.classifier import ClassifierOptions
from bert_serving.encoders.conversion.tf1_checkpoint import read_fine_tuned, read_tf1_encoder
from bert_serving.encoders.license import licensing_of_readme
from bert_serving.hugging_face import ConvertedClassifier
from bert_serving.imported.assembly import assemble
from bert_serving.imported.head import check_labels, choose_head
from bert_serving.imported.options import ImportOptions
from bert_serving.io.cache import folder_sha256
from bert_serving.text.preprocessing import load_preprocessing

# google-research/bert, run_classifier.py, --max_seq_length; no file of it keeps the value.
_SEQUENCE_LENGTH = 128


def convert_fine_tuned_checkpoint(folder: Path, scratch: Path, options: ImportOptions) -> ConvertedClassifier:
    """Builds the classifier of a checkpoint folder: logits = pooled output · output_weightsᵀ + output_bias.

    Args:
        folder: holds bert_config.json, vocab.txt and model.ckpt-N.
        scratch: folder for the preprocessing SavedModel; must exist as long as the classifier is used.
        options: labels.

    Raises:
        EncoderError: a file is missing or damaged, or the checkpoint has no head.
        ExportError: the labels do not fit.
    """
    pieces, architecture, weights = read_tf1_encoder(folder, fine_tuned=True)
    kernel, bias = read_fine_tuned(folder)
    head = choose_head(str(folder), "linear", len(bias), options)
    check_labels(str(folder), head, len(bias), options.labels)
    pieces.write(scratch / "preprocessing")
    chosen = ClassifierOptions(
        labels=options.labels,
        head=head,
        sequence_length=options.sequence_length or min(_SEQUENCE_LENGTH, architecture.max_position_embeddings),
        pairs=options.pairs,
    )
    preprocessing = load_preprocessing(scratch / "preprocessing")
    classifier = assemble(str(folder), architecture, weights, (kernel, bias), preprocessing, chosen)
    notes = tuple(_notes(options))
    return ConvertedClassifier(
        classifier, folder_sha256(folder), licensing_of_readme(folder), "BERT checkpoint of TensorFlow 1", None, notes
    )


def _notes(options: ImportOptions) -> Iterator[str]:
    if options.sequence_length is None:
        yield (
            f"texts are cut at {_SEQUENCE_LENGTH} tokens, the default of run_classifier.py, which does not keep its --max_seq_length; give "
            "--sequence-length for another"
        )
