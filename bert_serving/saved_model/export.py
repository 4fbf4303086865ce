"""Export of a run, or of a fine-tuned Hugging Face classifier, to a verified version folder."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from bert_serving.classifier import Classifier
from bert_serving.contract import TEXT_PAIR
from bert_serving.data.splits import load_validation
from bert_serving.data.unlabeled import TextColumns, read_unlabeled
from bert_serving.errors import DataError
from bert_serving.hugging_face import convert_classifier
from bert_serving.observer import Observer
from bert_serving.saved_model.manifest import EncoderOrigin
from bert_serving.saved_model.reference import Reference, drawn_rows
from bert_serving.saved_model.sharing.provenance import AdoptedProvenance, provenance_of
from bert_serving.saved_model.writer import ExportOptions, write_export
from bert_serving.training.loading import load_classifier
from bert_serving.training.run_folder import RunFolder


def export_run(
    run: RunFolder, options: ExportOptions, *, classifier: Classifier | None = None, observer: Observer | None = None
) -> Path:
    """Writes and verifies a SavedModel version of a complete run.

    Args:
        run: the run folder.
        options: what to write and where.
        classifier: the run's classifier, when it is in memory already.
        observer: told of the progress.

    Raises:
        ExportError: the version exists or the folder cannot be written.
        VerificationError: the export failed verification and was not published.
    """
    provenance = provenance_of(run)
    observer = observer or Observer()
    if classifier is None:
        with observer.stage("Loading the run"):
            classifier = load_classifier(run)
    with observer.stage("Answering validation texts in memory"):
        reference = _reference(run, classifier, observer)
    return write_export(classifier, options, provenance=provenance, reference=reference, observer=observer)


def export_hugging_face(
    folder: Path,
    options: ExportOptions,
    *,
    sequence_length: int | None = None,
    pairs: bool = False,
    texts: Sequence[Path] = (),
    observer: Observer | None = None,
) -> Path:
    """Writes and verifies a SavedModel version of a classifier that was fine-tuned with Hugging Face transformers.

    Args:
        folder: a saved `...ForSequenceClassification` with safetensors weights.
        options: what to write and where.
        sequence_length: texts are truncated to this many tokens; None takes the tokenizer's own maximum.
        pairs: whether it classifies pairs of texts.
        texts: files of texts, with second texts in a column `text_pair`, on which the export is compared with the model in memory.
        observer: told of the progress.

    Raises:
        DataError: a file with texts is missing or damaged.
        EncoderError: the folder is damaged, not a classifier, or of a family that cannot be converted.
        ExportError: the version exists or the folder cannot be written.
        VerificationError: the export failed verification and was not published.
    """
    observer = observer or Observer()
    with tempfile.TemporaryDirectory(prefix="bert-serving-") as workshop:
        with observer.stage("Converting the classifier"):
            adopted = convert_classifier(folder, Path(workshop), sequence_length=sequence_length, pairs=pairs)
        for note in adopted.notes:
            observer.note(note)
        encoder = EncoderOrigin(
            name=folder.resolve().name,
            sha256=adopted.sha256,
            license=adopted.licensing.license,
            languages=adopted.licensing.languages,
        )
        provenance = AdoptedProvenance(encoder, adopted.architecture, adopted.transformers)
        reference = _drawn(adopted.classifier, texts, observer) if texts else None
        return write_export(adopted.classifier, options, provenance=provenance, reference=reference, observer=observer)


def _drawn(classifier: Classifier, paths: Sequence[Path], observer: Observer) -> Reference:
    """A sample of the texts in unlabeled files, with the classifier's answers."""
    found = read_unlabeled(paths, TextColumns(text_pair=TEXT_PAIR if classifier.options.pairs else None), observer)
    with observer.stage("Answering texts in memory"):
        return _answered(classifier, found.texts, found.pairs)


def _reference(run: RunFolder, classifier: Classifier, observer: Observer) -> Reference | None:
    """Validation texts with the classifier's answers; None where the data is no longer available."""
    config = run.config()
    try:
        table = load_validation(config.data, config.head.kind, config.training.seed)
    except DataError as error:
        observer.note(f"the export is compared on golden texts only: {error}")
        return None
    return _answered(classifier, table.texts, table.pairs)


def _answered(classifier: Classifier, texts: Sequence[str], pairs: Sequence[str] | None) -> Reference:
    rows = drawn_rows(len(texts))
    chosen = tuple(texts[row] for row in rows)
    seconds = None if pairs is None else tuple(pairs[row] for row in rows)
    return Reference(chosen, seconds, classifier.predict(chosen, seconds))
