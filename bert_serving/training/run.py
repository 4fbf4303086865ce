"""A training run: from a run file to a run folder with a trained and evaluated classifier."""

import contextlib
import dataclasses
import importlib.metadata
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from bert_serving.classifier import Classifier, probabilities, targets_of
from bert_serving.config import RunConfig
from bert_serving.contract import RUN_FILE, Head, LongTexts, Thresholds
from bert_serving.data.audit import Audit, audit
from bert_serving.data.batches import TokenRows
from bert_serving.data.splits import Splits, label_array, label_names, resolve_labels
from bert_serving.data.table import LabeledTable, table_sha256
from bert_serving.data.windows import windows_line
from bert_serving.encoders.default_pooling import with_pooling
from bert_serving.encoders.folder import EncoderFolder
from bert_serving.encoders.lookup import find_encoder_folder
from bert_serving.errors import EncoderError, InputError, RunFolderError
from bert_serving.evaluation.baselines import baselines
from bert_serving.evaluation.intervals import score_intervals
from bert_serving.evaluation.predictions import Predictions
from bert_serving.evaluation.slices import find_slices
from bert_serving.features.frozen import FrozenEncoder, features_of
from bert_serving.io.cache import folder_sha256
from bert_serving.io.files import glob_characters
from bert_serving.observer import Observer
from bert_serving.plots import data as data_plots
from bert_serving.plots import results as result_plots
from bert_serving.plots.training import draw_history
from bert_serving.run_file import dump_run_file
from bert_serving.text.normalization import find_normalization, write_normalized, write_prefixed
from bert_serving.text.preprocessing import Preprocessing
from bert_serving.training.cluster import VARIABLE, Cluster, parse_cluster
from bert_serving.training.feature_head import feature_rows, over_features
from bert_serving.training.frozen_layers import with_layer_outputs
from bert_serving.training.learning_model import plan_learning
from bert_serving.training.loaded_data import LoadedData
from bert_serving.training.loading import classifier_options, load_classifier, load_run_preprocessing
from bert_serving.training.loop import Examples, class_weights, fit
from bert_serving.training.meeting import Meeting
from bert_serving.training.new_classifier import new_classifier
from bert_serving.training.run_folder import AUDIT, HISTORY, LOCK, METRICS, PREPROCESSING, SEEDS, THRESHOLDS, RunFolder
from bert_serving.training.strategy import create_strategy, mixed_precision
from bert_serving.training.team import Team, abort_collectives, end_process, leaving_lost_workers
from bert_serving.training.techniques.run_thresholds import thresholds_of
from bert_serving.version import __version__

_PICTURED_TEXTS = 8
# In run.json: whether the last layer is computed for [CLS] alone where the head sees nothing else.
_FIRST_TOKEN = "last_layer_for_first_token"
# In run.json: whether a step has the embeddings of occurring word pieces alone, and GELU's gradient in fewer operations.
_SHORT_STEP = "short_training_step"
# In run.json: whether an adversarial step has the embeddings of occurring word pieces alone, too.
_SHORT_ADVERSARIAL_STEP = "short_adversarial_step"
# In run.json: whether dropout masks are drawn in fewer operations.
_SHORT_MASKS = "short_dropout_masks"


@dataclass(frozen=True)
class Trained:
    """A finished run.

    Attributes:
        run: its folder.
        classifier: with the best epoch's weights.
        splits: the data it was trained and evaluated on.
        metrics: the content of metrics.json.
    """

    run: RunFolder
    classifier: Classifier
    splits: Splits
    metrics: dict[str, Any]


def train(
    config: RunConfig,
    out: Path,
    *,
    resume: bool = False,
    observer: Observer | None = None,
    end: Callable[[str], None] | None = None,
    loaded: LoadedData | None = None,
    is_evaluated: bool = True,
) -> Trained:
    """Trains and evaluates a run file.

    Args:
        config: the run file.
        out: the run folder; the same for all workers of training.strategy "multi_worker".
        resume: resume the unfinished run in `out`; several workers always do.
        observer: told of the progress.
        end: called from another thread, with the reason, where a worker was lost and this process hangs in TensorFlow; it must
            not return. None ends the process with the status of `WorkerError`.
        loaded: the rows of this run file, where they were read for another run of this process; None reads them.
        is_evaluated: measure and draw the scores; without it the run ends with its weights, and its metrics are empty.

    Raises:
        InputError: data, encoder or folder are wrong.
        SourceError: the encoder could not be downloaded.
        TrainingError: the loss is not a finite number.
        WorkerError: another worker did not come or was lost; the same call in a new process goes on.
    """
    observer = observer or Observer()
    config = with_pooling(config)
    run = RunFolder(out)
    cluster = _cluster_of(config)
    loaded = loaded or LoadedData()
    with observer.stage("Reading the data"):
        splits = loaded.splits_of(config)
        labels = resolve_labels(splits, config.data, config.head.kind)
    work = _Work(config, run, splits, labels, observer, loaded, is_evaluated)
    if cluster is None:
        with _locked(run):
            _check_folder(run, config, resume=resume)
            return _train(work, resume=resume)
    with run.locked() if cluster.is_chief else contextlib.nullcontext():
        return _train_as_worker(work, cluster, end or end_process)


@dataclass(frozen=True)
class _Work:
    """What is trained, and where to."""

    config: RunConfig
    run: RunFolder
    splits: Splits
    labels: tuple[str, ...]
    observer: Observer
    loaded: LoadedData
    is_evaluated: bool

    @cached_property
    def data_sha256(self) -> dict[str, str]:
        return {name: table_sha256(table) for name, table in self.splits.named().items()}


def _train(work: _Work, *, resume: bool, meeting: Meeting | None = None, last_epoch: int = 0) -> Trained:
    """Trains in this process, or with the other workers of a meeting."""
    config, run, splits, labels, observer = work.config, work.run, work.splits, work.labels, work.observer
    is_writer = meeting is None or meeting.cluster.is_chief
    with tempfile.TemporaryDirectory(prefix="bert-serving-") as workshop:
        with observer.stage("Preparing the encoder"):
            # What is left to do of a complete run, one process does.
            strategy = tf.distribute.get_strategy() if run.is_complete else create_strategy(config.training)
            folder = find_encoder_folder(config.encoder, passed_over=observer.note, progress=observer.download)
            folder = dataclasses.replace(
                folder,
                preprocessing=run.preprocessing if resume else _normalized(folder, config, Path(workshop)),
            )
            with strategy.scope(), mixed_precision(config.training.mixed_precision):
                classifier = new_classifier(
                    config, labels, folder, load_run_preprocessing(folder.preprocessing, config)
                )
            preprocessing = _to_keep(classifier.preprocessing, run, config)
        with observer.stage("Tokenizing"):
            tokenized = work.loaded.tokenized(classifier, config)
            tokens = {name: rows for name, (rows, _) in tokenized.items()}
            lengths = {name: uncut for name, (_, uncut) in tokenized.items()}
        data_audit = audit(splits, labels, lengths, classifier.options.reach, config.data.long_texts)
        observer.data(data_audit)
        if classifier.options.windows is not None:
            observer.note(windows_line(tokens["train"]))
        if resume:
            _check_unchanged(run, folder, work.data_sha256)
        if is_writer and not resume:
            _start(run, config, classifier, folder, splits, work.data_sha256, data_audit)
        elif is_writer:
            run.write_config(config)
        if not run.is_complete:
            team = None if meeting is None else Team(strategy, meeting, last_epoch)
            if team is not None:
                _check_same_encoder(team, folder)
                _wait_for_files(team, run)
            if config.encoder.cache_features:
                classifier, rows = _over_features(classifier, splits, folder, observer)
            elif config.encoder.frozen_layers:
                place = run.path if is_writer else Path(workshop)
                rows = _layer_outputs(classifier, tokens, config, run, place, observer)
            else:
                rows = tokens
            _fit(classifier, splits, rows, config, run, strategy, observer, team)
        if meeting is not None and not is_writer:
            return _trained_by_chief(work, meeting)
        if not work.is_evaluated:
            return Trained(run, classifier, splits, {})
        classifier = load_classifier(run, preprocessing=preprocessing, with_thresholds=False)
        with observer.stage("Evaluating"):
            predictions = {
                name: probabilities(config.head.kind, tf.constant(classifier.predict_tokens(tokens[name]))).numpy()
                for name in tokens
                if name != "train"
            }
            if config.head.thresholds == "fitted":
                classifier = _with_thresholds(work, classifier, predictions["validation"])
            metrics = _metrics(splits, labels, config, predictions, lengths, classifier.options.thresholds)
        with observer.stage("Drawing pictures"), run.writable():
            _draw(run, splits, labels, lengths, predictions, metrics)
        # Last of all: who finds it need not wait for anything.
        run.write_json(METRICS, metrics)
    return Trained(run, classifier, splits, metrics)


# === Several workers ===


def _cluster_of(config: RunConfig) -> Cluster | None:
    """The workers of "multi_worker"; None for the other strategies."""
    if config.training.strategy != "multi_worker":
        return None
    cluster = parse_cluster(os.environ.get(VARIABLE))
    if config.training.batch_size < len(cluster.addresses):
        raise InputError(
            f"training.batch_size is {config.training.batch_size}, fewer rows than the {len(cluster.addresses)} workers of "
            f"{VARIABLE}; raise it, it counts the rows of all workers together"
        )
    return cluster


def _train_as_worker(work: _Work, cluster: Cluster, end: Callable[[str], None]) -> Trained:
    config, run = work.config, work.run
    meeting = Meeting(
        run.path,
        cluster,
        _common_facts(work, cluster),
        timeout=config.training.worker_timeout,
        is_complete=lambda: run.is_complete,
        abort=abort_collectives,
        end=end,
    )
    with run.writable():
        stack = contextlib.ExitStack()
        stack.enter_context(meeting)
    with stack:
        resume = run.is_started
        _check_folder(run, config, resume=resume)
        if (run.is_complete and not cluster.is_chief) or (run.path / METRICS).is_file():
            trained = _trained_by_chief(work, meeting)
        elif run.is_complete:
            trained = _train(work, resume=True, meeting=meeting)
        else:
            with work.observer.stage(f"Waiting for {len(cluster.addresses)} workers"):
                found = meeting.join(run.last_epoch(), resume=resume)
            if found is None:
                trained = _trained_by_chief(work, meeting)
            else:
                with leaving_lost_workers(meeting):
                    trained = _train(work, resume=found.resume, meeting=meeting, last_epoch=found.epoch)
        if cluster.is_chief:
            meeting.close()
    return trained


def _trained_by_chief(work: _Work, meeting: Meeting) -> Trained:
    """The run as the chief leaves it, once it is complete."""
    run = work.run
    with work.observer.stage("Waiting for worker 0"):
        meeting.wait_for((run.path / METRICS).is_file, "the scores")
    return Trained(run, load_classifier(run), work.splits, run.read_json(METRICS))


def _common_facts(work: _Work, cluster: Cluster) -> dict[str, str]:
    """What all workers must have in common, by a name that a person understands."""
    tables = work.config.model_dump(mode="json", exclude={"export"})
    return {
        "workers": ", ".join(cluster.addresses),
        "version of bert-serving": __version__,
        "version of tensorflow": importlib.metadata.version("tensorflow"),
        **{f"{table}.{key}": json.dumps(value) for table, keys in tables.items() for key, value in keys.items()},
        **{f"{name} data": sha256 for name, sha256 in work.data_sha256.items()},
        "labels": ", ".join(work.labels),
    }


def _check_same_encoder(team: Team, folder: EncoderFolder) -> None:
    """Checks that all workers start from the same encoder; nobody is past it before the chief has begun the run."""
    digest = np.frombuffer(bytes.fromhex(folder.sha256), np.uint8).astype(np.float32)
    chiefs, *others = team.gathered(digest)
    differing = [str(number) for number, each in enumerate(others, 1) if not np.array_equal(each, chiefs)]
    if differing:
        raise EncoderError(
            f"worker {', '.join(differing)} has another encoder than worker 0; give all workers the same encoder"
        )


def _wait_for_files(team: Team, run: RunFolder) -> None:
    """Waits for what a shared file system may show later than the chief wrote it."""
    team.meeting.wait_for(lambda: run.is_started, RUN_FILE)
    if team.last_epoch:
        team.meeting.wait_for(run.checkpoint(team.last_epoch).is_dir, f"the checkpoint of epoch {team.last_epoch}")


@contextlib.contextmanager
def _locked(run: RunFolder) -> Iterator[None]:
    """Holds the run folder's lock. A new folder that is still empty when an error ends the run is removed."""
    is_new = not run.path.exists()
    with run.locked():
        try:
            yield
        except BaseException:
            if is_new and not [path for path in run.path.iterdir() if path.name != LOCK]:
                shutil.rmtree(run.path, ignore_errors=True)
            raise


def _check_folder(run: RunFolder, config: RunConfig, *, resume: bool) -> None:
    if characters := glob_characters(run.path):
        raise RunFolderError(f"{run.path}: TensorFlow cannot read from a path with {characters}; use another --out")
    if (run.path / SEEDS).is_file():
        raise RunFolderError(f"{run.path}: holds a run of several seeds; give another --out, or --seeds and --resume")
    if run.is_started and not resume:
        state = "a complete run" if run.is_complete else "an unfinished run"
        raise RunFolderError(
            f"{run.path}: holds {state}; give another --out" + ("" if run.is_complete else ", or --resume")
        )
    if resume and not run.is_started:
        raise RunFolderError(f"{run.path}: nothing to resume here ({RUN_FILE} is missing); leave --resume out")
    if not resume:
        return
    # The export does not influence training, so that a resumed run may change it.
    before = dump_run_file(run.config().model_copy(update={"export": config.export}))
    lines = set(before.splitlines()) ^ set(dump_run_file(config).splitlines())
    differing = sorted({line.split(" = ")[0] for line in lines})
    if differing:
        raise RunFolderError(
            f"{run.path}: the run file changed since this run began ({', '.join(differing)}); train it anew"
        )


def _to_keep(preprocessing: Preprocessing, run: RunFolder, config: RunConfig) -> Preprocessing | None:
    """The preprocessing for the trained classifier; None where it belongs to a strategy or a temporary folder."""
    if config.training.strategy != "one_device" or config.encoder.normalizer is not None or config.encoder.prefix:
        return None
    return dataclasses.replace(preprocessing, folder=run.preprocessing)


def _normalized(folder: EncoderFolder, config: RunConfig, workshop: Path) -> Path:
    """The encoder's preprocessing behind the run file's normalizer, where that can be part of a graph, and its prefix."""
    preprocessing = folder.preprocessing
    if config.encoder.prefix:
        write_prefixed(preprocessing, config.encoder.prefix, workshop / "prefixed")
        preprocessing = workshop / "prefixed"
    if config.encoder.normalizer is None:
        return preprocessing
    normalization = find_normalization(config.encoder.normalizer)
    if not normalization.in_graph:
        return preprocessing
    target = workshop / PREPROCESSING
    write_normalized(preprocessing, normalization, target, sha256=folder_sha256(folder.preprocessing))
    return target


def _start(
    run: RunFolder,
    config: RunConfig,
    classifier: Classifier,
    folder: EncoderFolder,
    splits: Splits,
    data_sha256: dict[str, str],
    data_audit: Audit,
) -> None:
    run.write_json(AUDIT, data_audit.to_json())
    with run.new_folder(run.preprocessing) as target:
        shutil.copytree(folder.preprocessing, target, dirs_exist_ok=True)
    if classifier.encoder.architecture is not None:
        with run.writable():
            classifier.encoder.architecture.save(run.description)
    facts = {
        "encoder": {
            "name": folder.name,
            "sha256": folder.sha256,
            "commit": folder.commit,
            **dataclasses.asdict(folder.licensing),
        },
        "rows": {name: len(table) for name, table in splits.named().items()},
        "data_sha256": data_sha256,
        _FIRST_TOKEN: True,
        _SHORT_STEP: True,
        _SHORT_ADVERSARIAL_STEP: True,
        _SHORT_MASKS: True,
        "versions": {"bert-serving": __version__, "tensorflow": importlib.metadata.version("tensorflow")},
    }
    run.start(config, classifier.options.labels, facts)


def _check_unchanged(run: RunFolder, folder: EncoderFolder, data_sha256: dict[str, str]) -> None:
    """Refuses to resume with other data or another encoder than the run began with."""
    facts = run.facts()
    if folder.sha256 != facts["encoder"]["sha256"]:
        raise RunFolderError(f"{run.path}: the encoder changed since this run began; train it anew")
    changed = [name for name, sha256 in data_sha256.items() if facts["data_sha256"].get(name) != sha256]
    if changed:
        raise RunFolderError(
            f"{run.path}: the {' and '.join(changed)} data changed since this run began; train it anew"
        )


def _over_features(
    classifier: Classifier, splits: Splits, folder: EncoderFolder, observer: Observer
) -> tuple[Classifier, dict[str, TokenRows]]:
    """The head on the frozen encoder's features, and training and validation rows for it."""
    options = classifier.options
    frozen = FrozenEncoder(
        folder.name, folder.sha256, classifier.encoder, classifier.preprocessing, options.sequence_length
    )
    tables = {"train": splits.train, "validation": splits.validation}
    features = [features_of(frozen, table, options.pooling, observer) for table in tables.values()]
    rows = {
        "train": feature_rows(0, len(splits.train)),
        "validation": feature_rows(len(splits.train), len(splits.validation)),
    }
    return over_features(classifier, np.concatenate(features)), rows


def _layer_outputs(
    classifier: Classifier,
    tokens: dict[str, TokenRows],
    config: RunConfig,
    run: RunFolder,
    place: Path,
    observer: Observer,
) -> dict[str, TokenRows]:
    """Training and validation rows with the output of the frozen layers."""
    learned_from = {name: tokens[name] for name in ("train", "validation")}
    with run.writable():
        return with_layer_outputs(classifier, learned_from, config.encoder.frozen_layers, place, observer)


def _fit(
    classifier: Classifier,
    splits: Splits,
    tokens: dict[str, TokenRows],
    config: RunConfig,
    run: RunFolder,
    strategy: tf.distribute.Strategy,
    observer: Observer,
    team: Team | None,
) -> None:
    head, labels = classifier.options.head, classifier.options.labels
    targets = targets_of(head, labels, splits.train.labels)
    kind = config.training.class_weights
    weights = class_weights(targets, len(labels), kind) if kind else None
    learning = None
    if not config.encoder.cache_features:
        with strategy.scope():
            # Runs of earlier versions go on as they began.
            facts = run.facts()
            learning = plan_learning(
                classifier,
                tokens["train"],
                config.training,
                config.encoder.frozen_layers,
                first_token=bool(facts.get(_FIRST_TOKEN)),
                is_short=bool(facts.get(_SHORT_STEP)),
                small_table=not config.training.adversarial_epsilon or bool(facts.get(_SHORT_ADVERSARIAL_STEP)),
                short_masks=bool(facts.get(_SHORT_MASKS)),
            )
    fit(
        classifier,
        train=Examples(tokens["train"], targets, weights),
        validation=Examples(tokens["validation"], targets_of(head, labels, splits.validation.labels)),
        config=config.bounded_training,
        best_metric=config.best_metric,
        run=run,
        strategy=strategy,
        observer=observer,
        learning=learning,
        team=team,
    )


def _with_thresholds(work: _Work, classifier: Classifier, probabilities: np.ndarray) -> Classifier:
    """The classifier with thresholds fitted on its validation rows."""
    options = classifier.options
    seed = work.config.training.seed
    fit = thresholds_of(options.head, options.labels, work.splits.validation, probabilities, seed)
    work.run.write_json(THRESHOLDS, fit.to_json())
    work.observer.note(fit.summary())
    return classifier.with_thresholds(fit.thresholds)


def _metrics(
    splits: Splits,
    labels: tuple[str, ...],
    config: RunConfig,
    predictions: dict[str, np.ndarray],
    lengths: dict[str, np.ndarray],
    thresholds: Thresholds,
) -> dict[str, Any]:
    head, name = config.head.kind, _measured(splits)
    evaluated = {
        split: Predictions(head, labels, splits.named()[split], predicted, thresholds)
        for split, predicted in predictions.items()
    }
    metrics: dict[str, Any] = {name: part.metrics for name, part in evaluated.items()}
    metrics["baselines"] = {
        "on": name,
        **baselines(splits.train, splits.named()[name], labels, head, config.training.seed),
    }
    metrics["intervals"] = dataclasses.asdict(score_intervals(evaluated[name]))
    metrics["slices"] = [
        {**vars(part), "rows": len(part.rows), "score": vars(part.score)}
        for part in find_slices(evaluated[name], lengths[name], classifier_options(config, labels).reach)
    ]
    return metrics


def _measured(splits: Splits) -> str:
    """The split whose scores are reported: test data where there is some."""
    return "test" if splits.test is not None else "validation"


def _draw(
    run: RunFolder,
    splits: Splits,
    labels: tuple[str, ...],
    lengths: dict[str, np.ndarray],
    predictions: dict[str, np.ndarray],
    metrics: dict[str, Any],
) -> None:
    config, folder = run.config(), run.pictures
    head, name = config.head.kind, _measured(splits)
    folder.mkdir(exist_ok=True)
    draw_history(run.read_json(HISTORY), folder / "history.png")
    data_plots.draw_token_lengths(
        lengths,
        config.encoder.sequence_length,
        folder / "token_lengths.png",
        windows=config.data.long_texts is LongTexts.WINDOWS,
    )
    if head is Head.REGRESSION:
        return
    table, predicted = splits.named()[name], predictions[name]
    counts = {split: _class_counts(rows, labels) for split, rows in splits.named().items()}
    data_plots.draw_class_distribution(counts, folder / "class_distribution.png")
    shown = slice(_PICTURED_TEXTS)
    result_plots.draw_predictions(table.texts[shown], labels, predicted[shown], folder / "predictions.png")
    if head is not Head.MULTILABEL:
        result_plots.draw_confusion_matrix(metrics[name], folder / "confusion_matrix.png")
        result_plots.draw_reliability(label_array(table.labels, labels, head), predicted, folder / "reliability.png")


def _class_counts(table: LabeledTable, labels: Sequence[str]) -> dict[str, int]:
    names = [name for label in table.labels for name in label_names(label)]
    return {label: names.count(label) for label in labels}
