"""Export of a run, or of a classifier that was fine-tuned elsewhere, to a verified version folder."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tf_keras

from bert_serving.classifier import Classifier
from bert_serving.contract import TEXT_PAIR, Precision
from bert_serving.data.splits import check_labels, load_validation
from bert_serving.data.table import LabeledTable
from bert_serving.data.unlabeled import TextColumns, UnlabeledTable, read_unlabeled
from bert_serving.errors import DataError, ExportError
from bert_serving.imported.conversion import convert_import
from bert_serving.imported.options import ImportOptions
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


def export_imported(
    source: Path | tf_keras.Model,
    options: ExportOptions,
    *,
    imported: ImportOptions | None = None,
    texts: Sequence[Path] = (),
    name: str | None = None,
    observer: Observer | None = None,
) -> Path:
    """Writes and verifies a SavedModel version of a classifier that was fine-tuned elsewhere.

    Args:
        source: file or folder of one of the kinds in `imported/conversion.py`, or a Keras model in memory.
        options: what to write and where.
        imported: what its files do not tell, such as labels.
        texts: files of texts, with second texts in a column `text_pair`, on which the export is compared with the model in memory.
        name: of the source, for the manifest; None: its path's last part.
        observer: told of the progress.

    Raises:
        DataError: a file with texts is missing or damaged.
        EncoderError: the source is damaged, not a classifier, or of a kind that cannot be converted.
        ExportError: the version exists or the folder cannot be written.
        VerificationError: the export failed verification and was not published.
    """
    check_options(options)
    observer, imported = observer or Observer(), imported or ImportOptions()
    found = _read_texts(texts, observer, pairs=imported.pairs)
    if found is None:
        _check_calibrated(options)
    with tempfile.TemporaryDirectory(prefix="bert-serving-") as workshop:
        with observer.stage("Converting the classifier"):
            adopted = convert_import(source, Path(workshop), imported)
        for note in adopted.notes:
            observer.note(note)
        if (pairs := adopted.classifier.options.pairs) != imported.pairs:  # only its files told
            found = _read_texts(texts, observer, pairs=pairs)
        encoder = EncoderOrigin(
            name=name or (source.resolve().name if isinstance(source, Path) else source.name),
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


def _read_texts(texts: Sequence[Path], observer: Observer, *, pairs: bool) -> UnlabeledTable | None:
    return read_unlabeled(texts, TextColumns(text_pair=TEXT_PAIR if pairs else None), observer) if texts else None


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
