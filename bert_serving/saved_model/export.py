"""Export of a run, or of a fine-tuned Hugging Face classifier, to a verified version folder."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bert_serving.classifier import Classifier
from bert_serving.contract import TEXT_PAIR, Precision
from bert_serving.data.splits import check_labels, load_validation
from bert_serving.data.table import LabeledTable
from bert_serving.data.unlabeled import TextColumns, read_unlabeled
from bert_serving.errors import DataError, ExportError
from bert_serving.hugging_face import convert_classifier
from bert_serving.observer import Observer
from bert_serving.saved_model.graphs.calibration import NO_TEXTS
from bert_serving.saved_model.manifest import EncoderOrigin
from bert_serving.saved_model.options import ExportOptions, check_options
from bert_serving.saved_model.reference import Reference, drawn_rows
from bert_serving.saved_model.sharing.provenance import AdoptedProvenance, FittedProvenance, provenance_of
from bert_serving.saved_model.writer import fitting_options, write_export
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
    check_options(options)
    provenance = provenance_of(run)
    observer = observer or Observer()
    table = _validation(run, observer)
    if table is None:
        _check_calibrated(options)
    if classifier is None:
        with observer.stage("Loading the run"):
            classifier = load_classifier(run)
    options = fitting_options(classifier, options, observer)
    reference = None
    if table is not None:
        with observer.stage("Answering validation texts in memory"):
            reference = _answered(classifier, table.texts, table.pairs, _known_labels(classifier, table, observer))
    return write_export(classifier, options, provenance=provenance, reference=reference, observer=observer)


def export_classifier(
    classifier: Classifier,
    options: ExportOptions,
    *,
    encoder: EncoderOrigin,
    validation: LabeledTable | None = None,
    observer: Observer | None = None,
) -> Path:
    """Writes and verifies a SavedModel version of a classifier in memory, however it was trained.

    Args:
        classifier: with its weights.
        options: what to write and where.
        encoder: the pretrained encoder that it was built on.
        validation: labeled rows on which the export is compared with the model in memory.
        observer: told of the progress.

    Raises:
        ExportError: the version exists or the folder cannot be written.
        VerificationError: the export failed verification and was not published.
    """
    check_options(options)
    if validation is None:
        _check_calibrated(options)
    observer = observer or Observer()
    options = fitting_options(classifier, options, observer)
    reference = None
    if validation is not None:
        with observer.stage("Answering validation texts in memory"):
            reference = _answered(classifier, validation.texts, validation.pairs, validation.labels)
    provenance = FittedProvenance(encoder)
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
    check_options(options)
    observer = observer or Observer()
    found = read_unlabeled(texts, TextColumns(text_pair=TEXT_PAIR if pairs else None), observer) if texts else None
    if found is None:
        _check_calibrated(options)
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
        options = fitting_options(adopted.classifier, options, observer)
        reference = None
        if found is not None:
            with observer.stage("Answering texts in memory"):
                reference = _answered(adopted.classifier, found.texts, found.pairs)
        return write_export(adopted.classifier, options, provenance=provenance, reference=reference, observer=observer)


def _check_calibrated(options: ExportOptions) -> None:
    if options.precision is Precision.INT8:
        raise ExportError(NO_TEXTS)


def _validation(run: RunFolder, observer: Observer) -> LabeledTable | None:
    """The run's validation rows; None where the data is no longer available."""
    config = run.config()
    try:
        return load_validation(config.data, config.head.kind, config.training.seed)
    except DataError as error:
        observer.note(f"the export is compared on golden texts only: {error}")
        return None


def _known_labels(classifier: Classifier, table: LabeledTable, observer: Observer) -> list[Any] | None:
    """The labels of validation rows; None where one is not the model's, as in data that was changed after training."""
    try:
        check_labels(table, classifier.options.labels, classifier.options.head)
    except DataError as error:
        observer.note(f"the labels of the validation texts do not judge the export: {error}")
        return None
    return table.labels


def _answered(
    classifier: Classifier, texts: Sequence[str], pairs: Sequence[str] | None, labels: Sequence[Any] | None = None
) -> Reference:
    """A sample of the texts, with the classifier's answers."""
    rows = drawn_rows(len(texts))
    chosen = tuple(texts[row] for row in rows)
    seconds = None if pairs is None else tuple(pairs[row] for row in rows)
    known = None if labels is None else tuple(labels[row] for row in rows)
    return Reference(chosen, seconds, classifier.predict(chosen, seconds), known)
