"""The model card: task, usage, scores, data and limits of a model.

Markdown with the metadata that model hubs read (https://huggingface.co/docs/hub/model-cards).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import yaml

from bert_serving import contract
from bert_serving.contract import Head, LongTexts, Pooling, Scaling
from bert_serving.encoders.catalog.catalog import hugging_face_repository
from bert_serving.evaluation.intervals import share_interval
from bert_serving.saved_model.manifest import EncoderOrigin, Manifest
from bert_serving.saved_model.sharing.calling import calling_guide, encoder_guide
from bert_serving.saved_model.sharing.markdown import code, plain, table
from bert_serving.saved_model.sharing.provenance import AdoptedProvenance, FittedProvenance, Provenance

LISTED_LABELS = 100
LISTED_MISTAKES = 5
NOTABLE_IMBALANCE = 3
"""ratio of the rows of the most and the least frequent label from which an imbalance is reported"""

# Name of a score in this package, in the metadata of a hub, and in the table; in the order of the table.
_SCORES = (
    ("accuracy", "accuracy", "accuracy"),
    ("macro_f1", "f1", "macro F1"),
    ("micro_f1", None, "micro F1"),
    ("weighted_f1", None, "weighted F1"),
    ("log_loss", None, "log loss (nats)"),
    ("expected_calibration_error", None, "calibration error"),
    ("spearman", "spearmanr", "Spearman's correlation"),
    ("pearson", "pearsonr", "Pearson's correlation"),
    ("mean_absolute_error", "mae", "mean absolute error"),
    ("mean_squared_error", "mse", "mean squared error"),
)
_BASELINES = {"tfidf_logistic_regression": "TF-IDF with logistic regression", "majority": "most frequent label"}
_SLICES = {"words": "length in words", "cut": "sequence length", "script": "script of the letters"}


def classifier_card(manifest: Manifest, provenance: Provenance) -> str:
    """The card of an exported classifier."""
    metadata = _metadata(manifest.encoder, "text-classification", ("tensorflow-serving",))
    metadata |= _model_index(manifest.name, provenance)
    sections = [
        [f"# {manifest.name}", "", *_what_it_does(manifest, provenance)],
        calling_guide(manifest),
        _scores(provenance),
        _per_label(provenance),
        _slices(provenance),
        _data(provenance),
        _limits(provenance),
    ]
    return _page(metadata, sections)


def unmeasured_card(manifest: Manifest, provenance: AdoptedProvenance | FittedProvenance) -> str:
    """The card of a classifier that was exported without being trained or evaluated by `train`."""
    encoder = provenance.encoder
    license = plain(encoder.license) if encoder.license else "unknown"
    if isinstance(provenance, AdoptedProvenance):
        writer = f" saved with transformers {plain(provenance.transformers)}" if provenance.transformers else ""
        made = f"{plain(encoder.name)}, a {plain(provenance.architecture)}{writer}; sha256 `{encoder.sha256}`"
        origin = [("made of", made), ("license", license)]
        limit = (
            "it was not evaluated here: its scores, its data and its limits are those of the model that it was made of"
        )
    else:
        made = f"{plain(encoder.name)}; sha256 of its variables before training `{encoder.sha256}`"
        origin = [("encoder", made), ("license", f"of the encoder: {license}; of the data: unknown")]
        limit = "it was fitted by a program, which kept no record here: its scores and its data are not known"
    sections = [
        [f"# {manifest.name}", "", *_summary(manifest, origin)],
        calling_guide(manifest),
        ["## Limits", "", f"- {limit}"],
    ]
    return _page(_metadata(encoder, "text-classification", ("tensorflow-serving",)), sections)


def encoder_card(provenance: Provenance) -> str:
    """The card of a run's fine-tuned encoder."""
    name = provenance.config.export.name
    metadata = _metadata(provenance.encoder, "feature-extraction", ("encoder",))
    sections = [
        [f"# {name}: encoder", "", *_what_the_encoder_is(provenance)],
        encoder_guide(provenance.config.encoder.sequence_length),
        _scores(provenance, "its classifier"),
        _data(provenance),
        _limits(provenance),
    ]
    return _page(metadata, sections)


def _page(metadata: Mapping[str, Any], sections: Iterable[Sequence[str]]) -> str:
    front = yaml.safe_dump(dict(metadata), sort_keys=False, allow_unicode=True, width=1_000)
    body = "\n\n".join("\n".join(lines) for lines in sections if lines)
    return f"---\n{front}---\n\n{body}\n"


# === Metadata ===


def _metadata(encoder: EncoderOrigin, task: str, tags: Sequence[str]) -> dict[str, Any]:
    values = {
        "license": encoder.license,
        "language": list(encoder.languages),
        "base_model": hugging_face_repository(encoder.name),
        "pipeline_tag": task,
        "library_name": "bert-serving",
        "tags": ["bert", "tensorflow", "saved-model", *tags],
    }
    return {name: value for name, value in values.items() if value}


def _model_index(name: str, provenance: Provenance) -> dict[str, Any]:
    metrics = [
        {"type": kind, "name": title, "value": round(provenance.scores[score], 4)}
        for score, kind, title in _SCORES
        if kind is not None and score in provenance.scores
    ]
    result = {
        "task": {"type": "text-classification"},
        "dataset": {"type": name, "name": name, "split": provenance.measured},
        "metrics": metrics,
    }
    return {
        "metrics": [metric["type"] for metric in metrics],
        "model-index": [{"name": name, "results": [result]}],
    }


# === Sections ===


def _what_it_does(manifest: Manifest, provenance: Provenance) -> list[str]:
    origin = [
        *_encoder_rows(provenance),
        ("head", f"{manifest.head} on the encoder's {_pooling(provenance)}"),
        *([("calibration", _calibration(manifest, provenance))] if manifest.scaling != Scaling() else []),
        *([("decision", _decision(manifest))] if manifest.thresholds else []),
    ]
    return _summary(manifest, origin)


def _summary(manifest: Manifest, origin: Sequence[tuple[str, str]]) -> list[str]:
    """The task of an export in one sentence, and a table of its facts; `origin` has those of its encoder and training."""
    text = "a pair of texts" if manifest.pairs else "a text"
    match manifest.head:
        case Head.REGRESSION:
            task = f"Regression: predicts a number for {text}."
        case Head.MULTILABEL:
            task = f"Multilabel classification: assigns {text} any of {len(manifest.labels)} labels, each with its own probability."
        case _:
            task = f"Classification: assigns {text} one of {len(manifest.labels)} labels, with the probability of each."
    rows = [
        *([("labels", _listed(manifest.labels))] if manifest.labels else []),
        ("input", f"{text}, {_reading(manifest)} (word pieces)"),
        *origin,
        ("serving graph", f"{manifest.graph}, {manifest.precision}"),
        ("version", f"{manifest.version}, written {manifest.created[:10]}"),
        ("needs", f"TensorFlow Serving {manifest.oldest_tf_serving or manifest.minimum_tf_serving} or later"),
        ("verified", _verdict(manifest)),
        ("written with", ", ".join(f"{name} {version}" for name, version in manifest.versions.items())),
    ]
    return [
        f"{task} It is a TensorFlow SavedModel that takes plain strings: the tokenizer is part of the graph, and stock "
        "TensorFlow Serving can serve it.",
        "",
        *table(("", ""), rows),
    ]


def _reading(manifest: Manifest) -> str:
    """What is read of a long text."""
    length = manifest.sequence_length
    match manifest.long_texts:
        case LongTexts.TRUNCATE:
            return f"truncated to {length} tokens"
        case LongTexts.HEAD_AND_TAIL:
            return f"the first quarter and the last three quarters of {length} tokens"
        case LongTexts.WINDOWS:
            shared = f"of which neighbors share {manifest.window_overlap}"
            return f"read in windows of {length} tokens, {shared}, {manifest.max_windows} windows at most"


def _what_the_encoder_is(provenance: Provenance) -> list[str]:
    task = f"classification with {len(provenance.labels)} labels" if provenance.labels else "regression"
    return [
        f"A BERT encoder, fine-tuned on {provenance.rows['train']:,} rows for {task}. The head is not included: train another "
        "one on the encoder, or use its embeddings.",
        "",
        *table(
            ("", ""),
            [
                *_encoder_rows(provenance),
                *([("labels", _listed(provenance.labels))] if provenance.labels else []),
                ("pooling", f"{_pooling(provenance)}"),
                ("written with", ", ".join(f"{name} {version}" for name, version in provenance.versions.items())),
            ],
        ),
    ]


def _encoder_rows(provenance: Provenance) -> list[tuple[str, str]]:
    encoder, training = provenance.encoder, provenance.config.training
    how = "fine-tuned" if provenance.config.encoder.trainable else "frozen"
    return [
        ("encoder", f"{plain(encoder.name)}, {how}; sha256 of its variables before training `{encoder.sha256}`"),
        (
            "license",
            f"of the encoder: {plain(encoder.license) if encoder.license else 'unknown'}; of the data: unknown",
        ),
        (
            "training",
            f"{_count(training.epochs, 'epoch')} of {provenance.rows['train']:,} rows, batch size {training.batch_size}, best epoch "
            f"by {_spelled(provenance.config.best_metric)} on validation data; seed {training.seed}",
        ),
    ]


def _pooling(provenance: Provenance) -> str:
    return {
        "pooler": "pooled output",
        "cls": "[CLS] vector",
        "mean": "mean over the tokens",
        "max": "maximum over the tokens",
    }[(provenance.config.head.pooling or Pooling.POOLER).value]


def _calibration(manifest: Manifest, provenance: Provenance) -> str:
    scaling = f"temperature {manifest.scaling}"
    fit = provenance.calibration
    if fit is None or "rows" not in fit:  # a calibration.json written by hand holds the scaling alone
        return scaling
    return (
        f"{scaling}, fitted on {fit['rows']:,} validation rows: the expected calibration error there changes from "
        f"{fit['calibration_error_before']:.3f} to {fit['calibration_error_after']:.3f}; the scores below are without it"
    )


def _decision(manifest: Manifest) -> str:
    pairs = zip(manifest.labels, manifest.thresholds, strict=True)
    shown = ", ".join(f"{plain(label)} {threshold:.3f}" for label, threshold in pairs)
    if manifest.head is Head.MULTILABEL:
        return f"a label is predicted from its threshold on, fitted on validation rows for its F1: {shown}"
    return (
        "the label is predicted whose probability is the greatest multiple of its threshold, fitted on validation rows for the "
        f"macro F1: {shown}"
    )


def _verdict(manifest: Manifest) -> str:
    verification = manifest.verification
    if verification is None or not verification.passed:
        return "no"
    return (
        f"in a fresh process: {verification.golden_texts} edge cases (empty, very long, broken UTF-8, ...) get the probabilities "
        f"of the trained model, largest difference {verification.max_probability_difference or 0:.1e}"
        + ("" if verification.agreement is None else f"; {verification.agreement.summary()}")
    )


def _scores(provenance: Provenance, model: str = "this model") -> list[str]:
    scores, split = provenance.scores, provenance.measured
    intervals = provenance.metrics.get("intervals", {}).get("scores", {})
    if "accuracy" in scores:
        intervals = intervals | {"accuracy": _share_interval(scores["accuracy"], scores["rows"])}
    baselines = {
        title: provenance.metrics["baselines"][name]
        for name, title in _BASELINES.items()
        if name in provenance.metrics.get("baselines", {})
    }
    rows = [
        (
            title,
            f"{scores[name]:.3f}",
            _range(intervals.get(name)),
            *(_number(baseline, name) for baseline in baselines.values()),
        )
        for name, _, title in _SCORES
        if name in scores
    ]
    caution = "" if split == "test" else ", which selected the best epoch, so that the scores are slightly optimistic"
    return [
        "## Scores",
        "",
        f"On the {scores['rows']:,} rows of the {split} data{caution}. For comparison: simple baselines on the same rows.",
        "",
        *table(("", model, "95% interval", *baselines), rows, words=1),
        "",
        "A 95% confidence interval is the range in which the score on other rows of the same kind is expected.",
    ]


def _per_label(provenance: Provenance) -> list[str]:
    classes = provenance.scores.get("per_class", {})
    intervals = provenance.metrics.get("intervals", {}).get("per_class", {})
    if not classes:
        return []
    rows = [
        (code(label), *_label_scores(values, intervals.get(label, {})), f"{values['support']:,}")
        for label, values in classes.items()
    ]
    mistakes = _mistakes(provenance)
    return [
        "### Scores per label",
        "",
        *table(("label", "precision", "recall", "F1", "rows"), rows, words=1),
        *(["", "Most frequent errors:", "", *mistakes] if mistakes else []),
    ]


def _label_scores(values: Mapping[str, Any], intervals: Mapping[str, Any]) -> list[str]:
    hits = values["recall"] * values["support"]
    answers = hits / values["precision"] if values["precision"] else 0
    scores = {
        "precision": _share_interval(values["precision"], answers),
        "recall": _share_interval(values["recall"], values["support"]),
        "f1": intervals.get("f1"),
    }
    return [_with_range(values[name], interval) for name, interval in scores.items()]


def _share_interval(share: float, rows: float) -> Mapping[str, float] | None:
    """Wilson's score interval: a bootstrap interval has no width where a model makes no error, which is wrong for few rows."""
    return vars(share_interval(round(share * rows), round(rows))) if rows else None


def _mistakes(provenance: Provenance) -> list[str]:
    matrix = provenance.scores.get("confusion_matrix", [])
    cells = [
        (count, count / sum(row), true, answer)
        for true, row in enumerate(matrix)
        for answer, count in enumerate(row)
        if count and true != answer
    ]
    labels = provenance.labels
    return [
        f"- {code(labels[true])} predicted as {code(labels[answer])}: {_count(count, 'row')}, {share:.1%} of the label"
        for count, share, true, answer in sorted(cells, reverse=True)[:LISTED_MISTAKES]
    ]


def _slices(provenance: Provenance) -> list[str]:
    slices = [part for part in provenance.metrics.get("slices", []) if part["group"] != "label"]
    if not slices:
        return []
    rows = [
        (
            plain(_SLICES.get(part["group"], part["group"])),
            plain(part["name"]),
            f"{part['rows']:,}",
            _with_range(part["score"]["value"], part["score"]),
            "worse than the rest" if part["short"] else "",
        )
        for part in slices
    ]
    measure = "accuracy" if provenance.labels else "mean absolute error"
    return ["### Scores by slice", "", *table(("by", "slice", "rows", measure, ""), rows, words=2)]


def _data(provenance: Provenance) -> list[str]:
    digests = [(name, f"{rows:,}", f"`{provenance.data_sha256[name]}`") for name, rows in provenance.rows.items()]
    return [
        "## Data",
        "",
        *table(("split", "rows", "sha256 of the rows"), digests),
        "",
        "Results of the data audit before training. Token counts include [CLS] and [SEP] and are those before truncation; a "
        "percentage is a percentile of the texts' token counts.",
        "",
        *table(
            [plain(name) for name in provenance.audit.columns()],
            [[plain(cell) for cell in row] for row in provenance.audit.rows()],
            words=1,
        ),
    ]


def _limits(provenance: Provenance) -> list[str]:
    limits = [plain(warning) for warning in provenance.audit.warnings]
    limits += _imbalance(provenance)
    if not provenance.audit.warnings:
        limits.append("the audit of the data found no duplicates in train, no text in two splits and no rare label")
    if provenance.config.head.kind in (Head.SOFTMAX, Head.BINARY):
        limits.append("every text gets one of the labels, even if none of them fits")
    if provenance.encoder.languages:
        limits.append(
            f"the encoder was pretrained on texts in these languages (ISO 639): {', '.join(map(plain, provenance.encoder.languages))}"
        )
    limits.append("the scores are for texts like those of the data; other texts were not evaluated")
    return ["## Limits", "", *(f"- {line}" for line in limits)]


def _imbalance(provenance: Provenance) -> list[str]:
    classes = provenance.audit.splits["train"].rows_per_class
    if not classes:
        return []
    rarest, commonest = min(classes, key=classes.__getitem__), max(classes, key=classes.__getitem__)
    few, many = classes[rarest], classes[commonest]
    if many < NOTABLE_IMBALANCE * few:
        return []
    return [
        f"in train {code(commonest)} ({many:,} rows) is {many / few:.1f} times as frequent as {code(rarest)} ({few:,})"
    ]


# === Numbers ===


def _listed(labels: Sequence[str]) -> str:
    more = f" and {len(labels) - LISTED_LABELS} more (`{contract.LABELS_ASSET}`)" if len(labels) > LISTED_LABELS else ""
    return ", ".join(map(code, labels[:LISTED_LABELS])) + more


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _spelled(score: str) -> str:
    return next((title for name, _, title in _SCORES if name == score), score)


def _number(scores: Mapping[str, Any], name: str) -> str:
    return f"{scores[name]:.3f}" if name in scores else ""


def _range(interval: Mapping[str, float] | None) -> str:
    # An interval without width belongs to a score without any error, and tells nothing.
    if interval is None or interval["low"] == interval["high"]:
        return ""
    return f"{interval['low']:.3f} to {interval['high']:.3f}"


def _with_range(value: float, interval: Mapping[str, float] | None) -> str:
    text = _range(interval)
    return f"{value:.3f} ({text})" if text else f"{value:.3f}"
