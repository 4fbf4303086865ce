"""Evaluation of a candidate, a version to be published, against a gate and the serving version."""

import dataclasses
from pathlib import Path

from bert_serving.contract import Head
from bert_serving.data.table import LabeledTable, read_table
from bert_serving.errors import InputError
from bert_serving.model.model import Model, open_model, predict_table
from bert_serving.observer import Observer
from bert_serving.publishing.rollout.gate import GateReport, GateRules, judge, measure_latency


def evaluate_candidate(
    rules: GateRules, candidate: Path, serving: str | None, forced: str, observer: Observer
) -> GateReport:
    """Predicts the gate's data with the candidate and the serving version; applies the rules.

    Args:
        rules: the gate.
        candidate: the candidate's version folder.
        serving: the serving version as `open_model` takes it; None if there is none.
        forced: reason for publishing the candidate even if a rule fails; empty for none.
        observer: told of the progress.

    Raises:
        InputError: a model cannot be opened, its labels do not fit the data, or `largest_slowdown`
            is given for a server.
        DataError: the data cannot be read.
        RunFileError: a rule names a score that this kind of model does not have.
    """
    if rules.largest_slowdown is not None and "://" in (serving or ""):
        raise InputError(
            f"largest_slowdown compares on this machine, but {serving} is a server; give its folder with --against"
        )
    with observer.stage("Loading the candidate"):
        model = open_model(str(candidate))
    table = _read(rules, rules.data, model)
    golden_table = _read(rules, rules.golden, model) if rules.golden else None
    for read in filter(None, (table, golden_table)):
        for line in read.reading.lines():
            observer.note(line)
    with observer.stage("Predicting with the candidate"):
        predictions = predict_table(model, table)
        golden = None if golden_table is None else predict_table(model, golden_table)
    baseline = baseline_predictions = None
    if serving is not None and rules.needs_serving:
        with observer.stage(f"Predicting with {serving}"):
            baseline = open_model(serving)
            baseline_predictions = predict_table(baseline, table, head=predictions.head, labels=model.labels)
    latency = None
    if rules.largest_latency_ms is not None or rules.largest_slowdown is not None:
        with observer.stage("Measuring latency, one text at a time"):
            compared = baseline.predict if baseline is not None and rules.largest_slowdown is not None else None
            latency = measure_latency(model.predict, compared, table.texts, table.pairs)
    report = judge(
        rules, predictions, serving=baseline_predictions, golden=golden, latency=latency, against=serving or ""
    )
    return dataclasses.replace(report, forced=forced)


def _read(rules: GateRules, files: tuple[Path, ...], model: Model) -> LabeledTable:
    return read_table(files, rules.columns(files), model.head or Head.SOFTMAX)
