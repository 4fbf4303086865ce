"""Answers to a batch of an engine: order, faults, heads, models on this machine without Beam."""

import os
import subprocess
import sys

import numpy as np
import pytest
from support.paths import ROOT

from bert_serving.contract import Head
from bert_serving.scoring.answers import Answer, answers_of, answers_to, fault_of
from bert_serving.scoring.model_files import ModelFiles, find_model
from bert_serving.scoring.scorer import Scorer

FAULTS = {
    "a text": ("a good film", False, ""),
    "a text in another script": ("十分な", False, ""),
    "nothing": (None, False, "expected a string, got None"),
    "a number": (7, False, "expected a string, got 7"),
    "not a number": (float("nan"), False, "expected a string, got nan"),
    "blanks": (" \t\n", False, "has no text"),
    "bytes of a text": (b"good", False, "expected a string, got b'good'"),
    "bytes that are no text": (b"good \xff", False, "is not valid UTF-8 at byte 5"),
    "half a surrogate pair": ("good \ud83d", False, "holds half a surrogate pair"),
    "a pair for a model of texts": (("good", "film"), False, "expected a string, got ('good', 'film')"),
    "a pair": (("good", "film"), True, ""),
    "a list of two": (["good", "film"], True, ""),
    "a text for a model of pairs": ("good", True, "expected a pair of strings, got 'good'"),
    "a pair without its second text": (("good", None), True, "expected a string, got None"),
    "a pair with a blank text": (("", "film"), True, "has no text"),
}


@pytest.mark.parametrize("case", list(FAULTS))
def test_a_fault_is_named(case: str):
    item, pairs, fault = FAULTS[case]
    assert fault_of(item, pairs=pairs) == fault


@pytest.fixture(scope="module")
def scorer(exported) -> Scorer:
    return Scorer.load(exported)


def test_an_item_that_fails_costs_only_itself(exported, scorer):
    files = find_model(str(exported))
    items = ["a good film", None, "bad bike", "", b"\xff", "the wheel is very bad"]
    answers = answers_to(items, files, scorer)
    assert [answer.failure is None for answer in answers] == [True, False, True, False, False, True]
    expected = scorer.score([item for item in items if isinstance(item, str) and item]).values
    good = [answer for answer in answers if answer.failure is None]
    assert np.abs(np.array([answer.probabilities for answer in good]) - expected).max() <= 2e-6
    assert [answer.label for answer in good] == [files.labels[number] for number in expected.argmax(axis=1)]
    assert [answer.probability for answer in good] == [max(answer.probabilities) for answer in good]
    assert answers[1] == Answer(None, None, (), "expected a string, got None")


@pytest.mark.parametrize("items", [[], [None, ""]])
def test_a_batch_without_a_good_item_has_answers(exported, scorer, items):
    answers = answers_to(items, find_model(str(exported)), scorer)
    assert [bool(answer.failure) for answer in answers] == [True] * len(items)


HEADS = {
    Head.SOFTMAX: (("a", "b"), [0.25, 0.75], Answer("b", 0.75, (0.25, 0.75))),
    Head.BINARY: (("a", "b"), [0.75, 0.25], Answer("a", 0.75, (0.75, 0.25))),
    Head.MULTILABEL: (("a", "b", "c"), [0.75, 0.25, 0.5], Answer("a,c", None, (0.75, 0.25, 0.5))),
    Head.REGRESSION: ((), [2.5], Answer(None, None, (2.5,))),
}


@pytest.mark.parametrize("head", list(HEADS))
def test_each_head_has_its_answer(head: Head):
    labels, values, answer = HEADS[head]
    files = ModelFiles("models/tiny/1", "tiny", 1, "", labels, head, False, 32)
    assert answers_of(np.array([values], np.float32), files) == [answer]


def test_a_model_on_this_machine_needs_no_beam(exported):
    code = f"""
from support.base_package import Hidden
Hidden(["apache_beam", "boto3"])
from bert_serving.errors import MissingExtraError
from bert_serving.scoring.model_files import find_model
print(find_model({str(exported)!r}).name)
try:
    find_model("s3://bucket/models/tiny")
except MissingExtraError as error:
    print(error)
"""
    environment = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120)
    assert result.stdout.splitlines() == [
        "tiny",
        "a model at a URL needs apache_beam, which is not installed; pip install 'bert-serving[beam]'",
    ], result.stderr[-2000:]
