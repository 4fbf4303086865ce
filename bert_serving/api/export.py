"""A verified SavedModel version, and how one is made of a run or a classifier."""

import os
from collections.abc import Sequence
from dataclasses import fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bert_serving import notebook
from bert_serving.api.classifier import TextClassifier, classifier_of
from bert_serving.api.predictor import Predictor
from bert_serving.api.progress import observer_of
from bert_serving.api.run import Run
from bert_serving.config import ExportConfig
from bert_serving.contract import RUN_FILE, SIGNATURES, Graph, Head, Precision
from bert_serving.data.in_memory import labeled_table
from bert_serving.errors import ExportError, InputError
from bert_serving.imported.options import ImportOptions
from bert_serving.imported.source import ADDRESS, local_source
from bert_serving.model.model import Model, export_model
from bert_serving.names import model_name
from bert_serving.observer import Observer
from bert_serving.run_file import parse_tables
from bert_serving.saved_model.manifest import Manifest, load_manifest
from bert_serving.saved_model.options import ExportOptions, check_target
from bert_serving.saved_model.versions import latest_version
from bert_serving.training.run_folder import RunFolder

if TYPE_CHECKING:
    import tf_keras

    from bert_serving.saved_model.reader import ExportedModel

# ruff: noqa: PLC0415
# TensorFlow is imported when something needs it.


class Export(Predictor):
    """A version folder: a SavedModel that takes strings, ready for TensorFlow Serving.

    `export` and `load` make one.

    Attributes:
        path: the version folder.
        manifest: its origin, labels, settings, and the result of its verification.

    ```python
    import bert_serving as bs

    exported = bs.load("models/tiny")
    print(exported.path, exported.labels, exported.manifest.graph, exported.manifest.verification.passed)
    ```
    """

    def __init__(self, path: Path):
        """Opens a version folder, or the highest version in a folder of versions.

        Raises:
            ExportError: there is no SavedModel, or it was not exported by this project.
        """
        self.path = latest_version(path)
        manifest = load_manifest(self.path)
        if manifest is None:
            raise ExportError(f"{self.path}: has no manifest (assets.extra/bert_serving.json); give what export wrote")
        self.manifest: Manifest = manifest

    @property
    def name(self) -> str:
        """Name of the model on a server."""
        return self.manifest.name

    @property
    def version(self) -> int:
        """The version number."""
        return self.manifest.version

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the probabilities in order; empty for a regression."""
        return self.manifest.labels

    @cached_property
    def saved_model(self) -> "ExportedModel":
        """The SavedModel in this process; `saved_model.call("tokens", input_word_ids=...)` calls any signature."""
        from bert_serving.saved_model.reader import ExportedModel

        return ExportedModel(self.path)

    def _opened(self) -> Model:
        return export_model(str(self.path), self.saved_model, self.manifest)

    def __repr__(self) -> str:
        """Path, graph and precision."""
        return f"Export({str(self.path)!r}, graph={self.manifest.graph.value!r}, precision={self.manifest.precision.value!r})"

    def _repr_html_(self) -> str:
        manifest, verification = self.manifest, self.manifest.verification
        verified = "no"
        if verification is not None and verification.passed:
            difference = verification.max_probability_difference or 0
            verified = f"{verification.golden_texts} golden texts, largest difference of a probability {difference:.1e}"
        text = "text, text_pair" if manifest.pairs else "text"
        takes = (text, "input_word_ids, input_mask, input_type_ids", "inputs (tf.Example)", text, text)
        signatures = notebook.table(
            ("signature", "inputs"),
            [(notebook.text(name), notebook.text(given)) for name, given in zip(SIGNATURES, takes, strict=True)],
        )
        facts = [
            ("model", f"{manifest.name}, version {manifest.version}"),
            ("labels", ", ".join(manifest.labels) or "none: it predicts a number"),
            ("graph", f"{manifest.graph}, {manifest.precision}"),
            ("needs", f"TensorFlow Serving {manifest.oldest_tf_serving or manifest.minimum_tf_serving} or later"),
            ("verified", verified),
            ("path", self.path),
        ]
        return notebook.facts(facts, "Export") + signatures


def export(
    source: "Run | TextClassifier | tf_keras.Model | str | os.PathLike[str]",
    to: str | os.PathLike[str],
    *,
    name: str | None = None,
    version: int | None = None,
    graph: Graph | str | None = None,
    precision: Precision | str | None = None,
    validation: Any = None,
    labels: Sequence[str] = (),
    head: Head | str | None = None,
    vocabulary: str | os.PathLike[str] | None = None,
    sequence_length: int | None = None,
    pairs: bool = False,
    texts: Sequence[str | os.PathLike[str]] = (),
    progress: bool | Observer | None = None,
    **settings: Any,
) -> Export:
    """Writes a SavedModel version and verifies it in a fresh process; nothing is left of one that fails.

    Args:
        source: a `Run` or its folder; a `TextClassifier`, however it was fitted, or its `model`; or a classifier that was
            fine-tuned elsewhere: a Keras model (`tf_keras`) that takes strings or token ids, what its `save` wrote, a Hugging Face folder, hf://owner/name,
            a KerasHub task preset, a checkpoint of TensorFlow 1.
        to: folder of models; the version is written to TO/NAME/VERSION.
        name: name of the model on the server; None for export.name of the run file, or the folder's name.
        version: a positive integer; None for the next one.
        graph: `ragged` (no padding outside attention), `trimmed` or `padded`.
        precision: `float32`, `bfloat16`, `int8`, or `auto` for the fastest on this machine that agrees.
        validation: labeled rows on which a `TextClassifier`'s export is compared with the model in memory; None for those of its
            `fit`.
        labels: names of the outputs in order, of a classifier from elsewhere whose files have none.
        head: what such a classifier predicts; None: as its last layer tells.
        vocabulary: WordPiece vocabulary of a Keras model that takes token ids.
        sequence_length: number of tokens at which a classifier from elsewhere truncates; None for its own.
        pairs: whether it takes pairs of texts.
        texts: files of texts on which its export is compared, and int8 ranges are measured.
        progress: whether to print the progress, or an observer; None prints it in a notebook and on a terminal.
        settings: further keys of a run file's [export], such as `max_metric_loss` or `minimum_tf_serving`.

    Raises:
        ExportError: the version exists, an option does not fit, or the folder cannot be written.
        VerificationError: the SavedModel answers differently from the model in memory; nothing was published.

    ```python
    import bert_serving as bs

    run = bs.load("runs/tiny")
    exported = bs.export(run, to="models", name="another")
    print(exported.path, exported.predict("a good film")[0].label)
    ```
    """
    given = {"name": name, "graph": graph, "precision": precision, **settings}
    observer = observer_of(progress)
    source = classifier_of(source) or source
    told = _told(labels, head, vocabulary, sequence_length, pairs)
    is_model = _is_keras_model(source)
    is_run = isinstance(source, Run) or _is_run_folder(source)
    _check_options_of(source, told, is_run=is_run, validation=validation, texts=texts)
    if is_run:
        run = source if isinstance(source, Run) else Run(RunFolder(Path(os.fspath(source))))  # type: ignore[arg-type]
        options = _options(run.config.export, given, to, version)
        from bert_serving.saved_model.export import export_run

        return Export(export_run(run.folder, options, classifier=run.in_memory, observer=observer))
    if isinstance(source, TextClassifier):
        options = _options(ExportConfig(name="classifier"), given, to, version)
        return _export_classifier(source, options, validation, observer)
    address = None if is_model else os.fspath(source)  # type: ignore[arg-type]
    options = _options(ExportConfig(name=model_name(address) if address else "classifier"), given, to, version)
    if address and not address.startswith(ADDRESS):
        from bert_serving.imported.kinds import check_told, kind_of

        check_told(Path(address), kind_of(Path(address)), told)
    taken = local_source(address, observer) if address else source
    from bert_serving.saved_model.export import export_imported

    known_as = address if address and address.startswith(ADDRESS) else None
    files = [Path(path) for path in texts]
    return Export(export_imported(taken, options, imported=told, texts=files, name=known_as, observer=observer))


def _told(
    labels: Sequence[str], head: Head | str | None, vocabulary: Any, sequence_length: int | None, pairs: bool
) -> ImportOptions:
    if isinstance(labels, str):
        raise InputError(f"labels is {labels!r}; give a list of names")
    if head is not None and head not in tuple(Head):
        raise InputError(f"head is {head!r}; give one of {', '.join(Head)}")
    path = None if vocabulary is None else Path(os.fspath(vocabulary))
    return ImportOptions(tuple(labels), None if head is None else Head(head), path, sequence_length, pairs)


def _is_keras_model(source: Any) -> bool:
    """Whether it is a model of `tf_keras`, which whoever made it has imported.

    Raises:
        InputError: it is one of Keras 3.
    """
    classes = {f"{each.__module__.split('.')[0]}.{each.__name__}" for each in type(source).__mro__}
    if "keras.Model" in classes:
        raise InputError(
            "source is a model of Keras 3; only those of Keras 2 (tf_keras) can be exported from memory, and a KerasHub classifier from "
            "the folder that its save_to_preset writes"
        )
    return "tf_keras.Model" in classes


def _is_run_folder(source: Any) -> bool:
    return isinstance(source, str | os.PathLike) and (Path(source) / RUN_FILE).is_file()


def _check_options_of(source: Any, told: ImportOptions, *, is_run: bool, validation: Any, texts: Sequence[Any]) -> None:
    """Refuses options of another kind of source, which would be ignored."""
    if validation is not None and not isinstance(source, TextClassifier):
        raise InputError(
            "validation is for a TextClassifier; a run has its own, a classifier from elsewhere takes texts"
        )
    if (told != ImportOptions() or texts) and (is_run or isinstance(source, TextClassifier)):
        raise InputError(
            "labels, head, vocabulary, sequence_length, pairs and texts are for a classifier from elsewhere; leave them out"
        )


def _options(
    config: ExportConfig, given: dict[str, Any], to: str | os.PathLike[str], version: int | None
) -> ExportOptions:
    """The options, of which those that were given stand in place of the run file's keys of the same names."""
    tables = config.model_dump() | {key: value for key, value in given.items() if value is not None}
    checked = parse_tables(tables, ExportConfig, "export")
    known = {field.name for field in fields(ExportOptions)}
    options = ExportOptions(base=Path(to), version=version, **{key: value for key, value in checked if key in known})
    check_target(options)
    return options


def _export_classifier(source: TextClassifier, options: ExportOptions, validation: Any, observer: Observer) -> Export:
    from bert_serving.saved_model.export import export_classifier

    table = source.validation
    if validation is not None:
        pair = "text_pair" if source.classifier.options.pairs else None
        table = labeled_table(validation, source.head, source.labels, text_pair=pair)
    return Export(
        export_classifier(source.classifier, options, encoder=source.encoder, validation=table, observer=observer)
    )
