"""Asks the models that a gate looks at."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from bert_serving.cli.model_argument import answers, open_model
from bert_serving.contract import Head
from bert_serving.errors import InputError

if TYPE_CHECKING:
    from bert_serving.observer import Observer
    from bert_serving.publishing.rollout.gate import GateReport, GateRules


def hold_against(
    rules: "GateRules", candidate: Path, against: str | None, forced: str, observer: "Observer"
) -> "GateReport":
    """Asks the candidate and the serving version for all rows of the gate's data, and judges.

    Args:
        rules: the gate file.
        candidate: the version folder.
        against: the serving version, as the user names models; None when there is none.
        forced: why the candidate is published in any case.
        observer: told of the progress.

    Raises:
        InputError: a rule compares with the serving version, which is a server of other labels or cannot be asked.
    """
    from bert_serving.data.table import read_table
    from bert_serving.publishing.rollout.gate import judge, measure_latency

    if rules.largest_slowdown is not None and "://" in (against or ""):
        raise InputError(
            f"largest_slowdown compares on this machine, but {against} is a server; give its folder with --against"
        )
    with observer.stage("Loading the candidate"):
        opened = open_model(str(candidate))
    head = opened.head or Head.SOFTMAX
    table = read_table(rules.data, rules.columns(rules.data), head)
    golden_table = read_table(rules.golden, rules.columns(rules.golden), head) if rules.golden else None
    with observer.stage("Asking the candidate"):
        predicted = answers(str(candidate), opened, table, head, None)
        golden = answers(str(candidate), opened, golden_table, head, None) if golden_table is not None else None
    serving = other = None
    if against is not None and rules.needs_serving:
        with observer.stage(f"Asking {against}"):
            other = open_model(against)
            serving = answers(against, other, table, head, opened.labels)
    latency = None
    if rules.largest_latency_ms is not None or rules.largest_slowdown is not None:
        with observer.stage("Measuring latency, one text at a time"):
            compared = other.predict if other is not None and rules.largest_slowdown is not None else None
            latency = measure_latency(opened.predict, compared, table.texts, table.pairs)
    report = judge(rules, predicted, serving=serving, golden=golden, latency=latency, against=against or "")
    return dataclasses.replace(report, forced=forced)
