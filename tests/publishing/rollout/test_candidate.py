"""A candidate held against a gate and the serving version, called from Python."""

import pytest

from bert_serving.errors import InputError
from bert_serving.observer import Observer
from bert_serving.publishing.rollout.candidate import evaluate_candidate
from bert_serving.publishing.rollout.gate import GateRules


def test_a_candidate_is_compared_with_the_serving_version(exported, run_file):
    data = run_file.parent / "test.tsv"
    rules = GateRules(
        name="test rows",
        data=(data,),
        golden=(data,),
        largest_class_loss=0.0,
        largest_latency_ms=60_000,
        minimum={"accuracy": 1.01},
    )
    report = evaluate_candidate(rules, exported, str(exported), "hot fix", Observer())
    assert (report.rows, report.against, report.forced) == (10, str(exported), "hot fix")
    rules_checked = [check.rule for check in report.checks]
    assert rules_checked[:3] == ["smallest accuracy", "loss of class blame", "loss of class praise"]
    assert [check.value for check in report.checks[1:3]] == [0.0, 0.0]
    assert rules_checked[3:] == ["golden texts answered wrong", "95th percentile of latency in ms"]
    assert not report.passed
    report.raise_if_failed("x")


def test_a_slowdown_is_measured_on_this_machine_only(exported, run_file):
    rules = GateRules(name="x", data=(run_file.parent / "test.tsv",), largest_slowdown=1.0)
    with pytest.raises(InputError, match="largest_slowdown compares on this machine, but grpc://host:1/m is a server"):
        evaluate_candidate(rules, exported, "grpc://host:1/m", "", Observer())
