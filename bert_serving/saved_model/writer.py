"""Writes a version folder, complete and verified, or not at all.

A version is built in a temporary folder beside the versions, whose name is not a number, so that a polling server ignores it.
It gets its version number only after it was moved once, loaded in a fresh process and passed verification.
"""

import contextlib
import dataclasses
import errno
import importlib.metadata
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from bert_serving import contract
from bert_serving.classifier import Classifier
from bert_serving.contract import Graph, Precision
from bert_serving.errors import ExportError, VerificationError
from bert_serving.io.files import TEMPORARY, flush_tree
from bert_serving.io.saved_models import write_saved_model
from bert_serving.observer import Observer
from bert_serving.saved_model.graphs.calibration import arithmetic_of
from bert_serving.saved_model.graphs.input_checks import TokenLimits
from bert_serving.saved_model.limits import AgreementLimits
from bert_serving.saved_model.manifest import Manifest, Verification
from bert_serving.saved_model.operations.audit import audit_operations
from bert_serving.saved_model.options import ExportOptions, check_options, float32_only, free_version, too_old_for_int8
from bert_serving.saved_model.reference import Reference
from bert_serving.saved_model.sharing.card import classifier_card, unmeasured_card
from bert_serving.saved_model.sharing.provenance import AnyProvenance, Provenance
from bert_serving.saved_model.signatures import build_serving_graph, supported_graph
from bert_serving.saved_model.verification.agreement import seconds_in_turns
from bert_serving.saved_model.verification.golden import SEVERAL_WINDOWS, TEXTS, Golden
from bert_serving.saved_model.verification.judgment import undecided
from bert_serving.saved_model.verification.verify import verify_in_fresh_process
from bert_serving.saved_model.warmup import write_warmup
from bert_serving.version import __version__

_REFERENCE_FILE = "reference.json"
_UNLABELED = (
    "without labeled validation texts a reduced precision is judged by how far it is from the model in memory "
    "(export.max_probability_difference, export.max_label_change_rate)"
)
_PACKAGES = ("tensorflow", "tensorflow-text", "tf-keras", "tf-models-official")


def write_export(
    classifier: Classifier,
    options: ExportOptions,
    *,
    provenance: AnyProvenance,
    reference: Reference | None = None,
    observer: Observer,
) -> Path:
    """Writes and verifies a version folder, and returns its path.

    Args:
        classifier: the model in memory.
        options: what to write and where.
        provenance: for manifest and model card.
        reference: validation texts with the classifier's answers, for verification and for measuring precisions.
        observer: told of the progress.

    Raises:
        ExportError: an option or the classifier cannot be used, or the folder cannot be written.
        VerificationError: the SavedModel answers differently from the model in memory; nothing is published.
    """
    check_options(options)
    options = fitting_options(classifier, options, observer)
    model_folder = options.folder
    version = free_version(model_folder, options.version)
    with _workshop(model_folder, version) as workshop:
        builder = _Builder(classifier, options, version, provenance, reference, workshop, observer)
        if options.precision is not Precision.FLOAT32 and not builder.labeled:
            observer.note(_UNLABELED)
        built = builder.fastest() if options.precision is Precision.AUTO else builder.build(options.precision)
        if not built.verification.passed:
            raise VerificationError(f"{options.name} version {version} was not published", built.verification.problems)
        _note_undecided(built, observer)
        with _export_errors(model_folder):
            verified = built.manifest.model_copy(update={"verification": built.verification})
            verified.save(built.folder)
            (built.folder / contract.CARD_FILE).write_text(_card(verified, provenance), "utf-8")
            flush_tree(built.folder)
            return _publish(built.folder, model_folder / str(version))


def _note_undecided(built: "_Built", observer: Observer) -> None:
    agreement, limits = built.verification.agreement, built.manifest.limits
    if agreement is not None and limits is not None and (line := undecided(agreement, limits)):
        observer.note(line)


def _card(manifest: Manifest, provenance: AnyProvenance) -> str:
    if isinstance(provenance, Provenance):
        return classifier_card(manifest, provenance)
    return unmeasured_card(manifest, provenance)


@dataclass(frozen=True)
class _Built:
    """A version folder in the workshop, and the result of its verification."""

    folder: Path
    manifest: Manifest
    verification: Verification


@dataclass(frozen=True)
class _Builder:
    """Builds and verifies a version in the workshop, in any precision."""

    classifier: Classifier
    options: ExportOptions
    version: int
    provenance: AnyProvenance
    reference: Reference | None
    workshop: Path
    observer: Observer

    @property
    def labeled(self) -> bool:
        """Whether the validation texts have true labels."""
        return self.reference is not None and self.reference.labels is not None

    def build(self, precision: Precision) -> _Built:
        """Writes a version, moves it, and verifies it in a fresh process."""
        options = dataclasses.replace(self.options, precision=precision)
        built = self.workshop / "built"
        with self.observer.stage("Tracing and saving the serving graph"), _export_errors(self.workshop.parent):
            _save(self.classifier, options, self.reference, built)
            _golden(self.classifier).save(built)
            write_warmup(built, model_name=options.name, pairs=self.classifier.options.pairs)
            audit = audit_operations(built)
            manifest = _manifest(
                self.classifier,
                options,
                self.version,
                self.provenance,
                oldest_tf_serving=audit.oldest_tf_serving,
                labeled=self.labeled,
            )
            manifest.save(built)
            reference = self._reference_file()
        # Moved, so that a path to the original folder fails here and not on the server.
        moved = built.rename(self.workshop / f"moved-{precision}")
        with self.observer.stage("Verifying in a fresh process"):
            verification = verify_in_fresh_process(moved, reference=reference)
        return _Built(moved, manifest, verification)

    def fastest(self) -> _Built:
        """The version with the lowest latency on this machine, of those that agree with the model in memory."""
        reference = self._reference_file()
        if reference is None:
            self.observer.note(f"precision {Precision.FLOAT32}: no texts to measure with")
            return self.build(Precision.FLOAT32)
        candidates = [self.build(precision) for precision in self._precisions()]
        agreeing = [candidate for candidate in candidates if candidate.verification.passed]
        for candidate in candidates:
            if not candidate.verification.passed:
                self.observer.note(
                    f"precision {candidate.manifest.precision} is left out: {candidate.verification.problems[0]}"
                )
        if len(agreeing) < 2:
            return (agreeing or candidates)[0]
        with self.observer.stage("Measuring the precisions in turns"):
            seconds = seconds_in_turns(reference, [candidate.folder for candidate in agreeing])
        times = ", ".join(
            f"{candidate.manifest.precision} {1000 * taken:.1f} ms"
            for taken, candidate in zip(seconds, agreeing, strict=True)
        )
        chosen = agreeing[int(np.argmin(seconds))]
        self.observer.note(f"precision {chosen.manifest.precision}: a batch of validation texts takes {times}")
        return chosen

    def _precisions(self) -> list[Precision]:
        """Precisions that the oldest server to support can load."""
        precisions = [Precision.FLOAT32, Precision.BFLOAT16]
        if reason := too_old_for_int8(self.options.minimum_tf_serving):
            self.observer.note(f"precision {Precision.INT8} is left out: {reason}")
            return precisions
        return [*precisions, Precision.INT8]

    def _reference_file(self) -> Path | None:
        """The reference as a file outside the version folder: training data must not be published."""
        if self.reference is None:
            return None
        path = self.workshop / _REFERENCE_FILE
        if not path.exists():
            self.reference.save(path)
        return path


def fitting_options(classifier: Classifier, options: ExportOptions, observer: Observer) -> ExportOptions:
    """The options with a graph and a precision that the classifier has; a second call changes nothing.

    Raises:
        ExportError: the classifier cannot be exported, or not in this precision.
    """
    if bad := [label for label in classifier.options.labels if contract.label_fault(label)]:
        raise ExportError(
            f"the label {bad[0]!r} {contract.label_fault(bad[0])}; correct its line in {contract.LABELS_FILE} of the run folder"
        )
    if classifier.preprocessing.rewrite is not None:
        raise ExportError(
            "encoder.normalizer is a function in Python, which a SavedModel cannot hold; write it with TensorFlow's string operations "
            "(tf.strings) and train again"
        )
    graph = supported_graph(classifier, options.graph)
    if graph is not Graph.RAGGED and options.precision is Precision.AUTO:
        options = dataclasses.replace(options, precision=Precision.FLOAT32)
        observer.note(f"precision {options.precision}: the {graph} graph has no other")
    if graph is not Graph.RAGGED and options.precision is not Precision.FLOAT32:
        raise ExportError(
            float32_only(graph, options.precision)
            + ("" if graph is options.graph else " (the ragged graph is for BERT encoders with a plain head)")
        )
    if graph is not options.graph:
        observer.note(
            f"the ragged graph is for BERT encoders with a plain head: the serving graph is {graph} instead of {options.graph}"
        )
    return dataclasses.replace(options, graph=graph)


@contextlib.contextmanager
def _workshop(model_folder: Path, version: int) -> Iterator[Path]:
    with _export_errors(model_folder):
        model_folder.mkdir(parents=True, exist_ok=True)
        workshop = Path(tempfile.mkdtemp(prefix=f"{TEMPORARY}{version}-", dir=model_folder))
    try:
        yield workshop
    finally:
        shutil.rmtree(workshop, ignore_errors=True)


@contextlib.contextmanager
def _export_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except (
        OSError,
        tf.errors.PermissionDeniedError,
        tf.errors.ResourceExhaustedError,
        tf.errors.NotFoundError,
    ) as error:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise ExportError(f"{folder}: cannot write the export: {reason}; choose another --to or make room") from None


def _save(classifier: Classifier, options: ExportOptions, reference: Reference | None, target: Path) -> None:
    labels_file = target.parent / contract.LABELS_FILE
    labels_file.write_text(contract.labels_text(classifier.options.labels), "utf-8")
    arithmetic = arithmetic_of(options.precision, classifier, reference)
    graph = build_serving_graph(classifier, options.graph, labels_file, arithmetic)
    write_saved_model(graph.module, target, graph.signatures)
    labels_file.unlink()
    (target / contract.EXTRA_FOLDER).mkdir()


def _golden(classifier: Classifier) -> Golden:
    """Answers of the Keras model in memory to the golden texts, each text in a batch of its own."""
    texts: list[Any] = [*TEXTS, SEVERAL_WINDOWS] if classifier.options.windows else list(TEXTS)
    pairs: list[Any] | None = texts[::-1] if classifier.options.pairs else None
    tokens, _ = classifier.tokenize(texts, pairs)
    outputs = [classifier.features_model(classifier.batch(tokens, [row]), training=False) for row in range(len(texts))]
    logits, pooled = (
        np.concatenate([output[name] for output in outputs]) for name in (contract.LOGITS, contract.POOLED_OUTPUT)
    )
    return Golden(
        texts=tuple(texts),
        pairs=None if pairs is None else tuple(pairs),
        logits=logits,
        probabilities=classifier.probabilities(tf.constant(logits)).numpy(),
        pooled=pooled,
    )


def _manifest(
    classifier: Classifier,
    options: ExportOptions,
    version: int,
    provenance: AnyProvenance,
    *,
    oldest_tf_serving: str | None,
    labeled: bool,
) -> Manifest:
    windows = classifier.options.windows
    return Manifest(
        name=options.name,
        version=version,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        head=classifier.options.head,
        labels=classifier.options.labels,
        pairs=classifier.options.pairs,
        sequence_length=classifier.options.sequence_length,
        max_tokens=TokenLimits.of(classifier).tokens,
        long_texts=classifier.options.long_texts,
        window_overlap=None if windows is None else windows.overlap,
        max_windows=None if windows is None else windows.most,
        graph=options.graph,
        precision=options.precision,
        limits=AgreementLimits.of(options.precision, labeled=labeled, **options.limits),
        temperature=classifier.options.scaling.temperature,
        exponent=classifier.options.scaling.exponent,
        thresholds=classifier.options.thresholds,
        encoder=provenance.encoder,
        versions={"bert-serving": __version__} | {name: importlib.metadata.version(name) for name in _PACKAGES},
        metrics=provenance.scores,
        minimum_tf_serving=options.minimum_tf_serving,
        oldest_tf_serving=oldest_tf_serving,
        verification=Verification(passed=False, problems=("not verified yet",)),
    )


def _publish(source: Path, target: Path) -> Path:
    """Renames a folder; of two exports of one version the second fails, because a rename never replaces a folder with files."""
    try:
        source.rename(target)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            raise ExportError(f"{target}: another process wrote this version meanwhile; export again") from None
        raise
    return target
