"""The gate: which candidates pass, and why not."""

import json

import numpy as np
import pytest

from bert_serving.contract import Head
from bert_serving.data.table import LabeledTable
from bert_serving.errors import GateError, RunFileError
from bert_serving.evaluation.predictions import Predictions
from bert_serving.publishing.rollout.gate import GateRules, Latency, judge, load_gate, measure_latency

LABELS = ("a", "b")
TEXTS = [f"text {number}" for number in range(10)]
TRUE = ["a"] * 6 + ["b"] * 4


def answered(letters, head=Head.SOFTMAX):
    """A model that answers these labels with probability 0.9."""
    values = np.array([[0.9, 0.1] if letter == "a" else [0.1, 0.9] for letter in letters])
    return Predictions(head, LABELS, LabeledTable(TEXTS[: len(letters)], None, TRUE[: len(letters)], "x"), values)


def rules(**given):
    return GateRules(name="test set", data=("x.tsv",), **given)


RIGHT = "aaaaaabbbb"
ONE_B_WRONG = "aaaaaabbba"

CASES = {
    "minimum holds": ({"minimum": {"accuracy": 0.9}}, ONE_B_WRONG, {}, []),
    "minimum fails": ({"minimum": {"accuracy": 0.95}}, ONE_B_WRONG, {}, ["smallest accuracy: 0.9, limit 0.95"]),
    "maximum fails": ({"maximum": {"log_loss": 0.1}}, RIGHT, {}, ["largest log_loss: 0.1054, limit 0.1"]),
    "class loss fails": (
        {"largest_class_loss": 0.1},
        ONE_B_WRONG,
        {"serving": answered(RIGHT)},
        ["loss of class b: 0.1429, limit 0.1 (F1 0.8571, serving 1.0000, 4 rows)"],
    ),
    "class loss without a serving version": ({"largest_class_loss": 0.1}, ONE_B_WRONG, {}, []),
    "loss of a score fails": (
        {"largest_loss": {"accuracy": 0.05, "log_loss": 0.5}},
        ONE_B_WRONG,
        {"serving": answered(RIGHT)},
        ["loss of accuracy: 0.1, limit 0.05 (0.9000, serving 1.0000)"],
    ),
    "better than the serving version": (
        {"largest_loss": {"log_loss": 0.0}, "largest_class_loss": 0.0},
        RIGHT,
        {"serving": answered(ONE_B_WRONG)},
        [],
    ),
    "golden text fails": (
        {},
        RIGHT,
        {"golden": answered("ab")},
        ["golden texts answered wrong: 1, limit 0 ('text 1' is b)"],
    ),
    "latency fails": (
        {"largest_latency_ms": 5.0},
        RIGHT,
        {"latency": Latency(0.004, 0.006)},
        ["95th percentile of latency in ms: 6, limit 5 (median 4.0 ms)"],
    ),
    "slowdown fails": (
        {"largest_slowdown": 1.5},
        RIGHT,
        {"latency": Latency(0.004, 0.006, 0.002)},
        ["latency as a multiple of the serving version's: 2, limit 1.5 (median 4.0 ms, serving 2.0 ms)"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_candidate_passes_or_every_reason_is_named(case):
    given, letters, others, problems = CASES[case]
    report = judge(rules(**given), answered(letters), against="models/x/1", **others)
    assert report.problems == problems
    assert report.passed is not bool(problems)
    json.dumps(report.record())
    if problems:
        with pytest.raises(GateError, match="models/x/2 was not published") as caught:
            report.raise_if_failed("models/x/2")
        assert caught.value.problems == problems


def test_a_forced_report_says_no_and_lets_pass():
    import dataclasses

    report = dataclasses.replace(judge(rules(minimum={"accuracy": 1.0}), answered(ONE_B_WRONG)), forced="hot fix")
    report.raise_if_failed("x")
    assert (report.record()["passed"], report.record()["forced"]) == (False, "hot fix")


def test_scores_that_the_model_does_not_have_are_named_all_at_once():
    with pytest.raises(RunFileError) as caught:
        judge(rules(minimum={"acuracy": 0.9}, largest_loss={"pearson": 0.1}), answered(RIGHT))
    assert [problem.split(":")[0] for problem in caught.value.problems] == ["minimum.acuracy", "largest_loss.pearson"]
    assert "known are accuracy, macro_f1" in str(caught.value)


def test_latency_is_measured_in_turns():
    asked = []
    latency = measure_latency(
        lambda texts, pairs: asked.append("new"), lambda texts, pairs: asked.append("old"), TEXTS, TEXTS
    )
    assert asked == ["new", "old"] * 15
    assert latency.serving_median is not None
    assert 0 < latency.median <= latency.p95


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("name = ", "is not valid TOML"),
        ('name = "x"\n', "data: missing; add it"),
        ('name = "x"\ndata = "x.tsv"\nminimun = {}\n', "minimun: unknown key; known are name, data, golden"),
        ('name = "x"\ndata = "x.tsv"\nlargest_class_loss = -1\n', "largest_class_loss: input should be greater than"),
        (
            'name = "x"\ndata = "x.tsv"\nminimum = {accuracy = "high"}\n',
            "minimum.accuracy: input should be a valid number",
        ),
    ],
)
def test_a_wrong_gate_file_is_named(tmp_path, text, problem):
    (tmp_path / "gate.toml").write_text(text)
    with pytest.raises(RunFileError) as caught:
        load_gate(tmp_path / "gate.toml")
    assert problem in str(caught.value)
    with pytest.raises(RunFileError, match="cannot read the gate file"):
        load_gate(tmp_path / "absent.toml")


def test_paths_are_relative_to_the_gate_file(tmp_path):
    (tmp_path / "gate.toml").write_text('name = "x"\ndata = "a.tsv"\ngolden = ["b.tsv"]\n')
    found = load_gate(tmp_path / "gate.toml")
    assert (found.data, found.golden) == ((tmp_path / "a.tsv",), (tmp_path / "b.tsv",))
