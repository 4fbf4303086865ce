"""Texts of a Beam pipeline are scored by a transform, and by a handler in RunInference."""

from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.ml.inference.base import KeyedModelHandler, RunInference
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner
from apache_beam.testing.util import assert_that, equal_to

from bert_serving.beam import ClassifierHandler, ScoreTexts
from bert_serving.errors import InputError
from bert_serving.saved_model.reader import ExportedModel

TEXTS = ["a good film", "the bad bike", "very very bad wheel", "is"]


def close_to(expected: dict[Any, np.ndarray]) -> Any:
    """Checks pairs of key and probabilities."""

    def check(found: list[tuple[Any, Any]]) -> None:
        assert sorted(key for key, _ in found) == sorted(expected)
        for key, probabilities in found:
            np.testing.assert_allclose(probabilities, expected[key], atol=2e-6)

    return check


def test_elements_with_a_text_are_scored_and_others_fail_alone(exported: Path):
    expected = dict(enumerate(ExportedModel(exported).predict(TEXTS)))
    rows = [{"id": number, "review": text} for number, text in enumerate(TEXTS)]
    bad = [{"id": 10, "review": " "}, {"id": 11}, {"id": 12, "review": 5}]
    reasons = [(10, "has no text"), (11, "expected a string, got None"), (12, "expected a string, got 5")]
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        answers = pipeline | beam.Create(rows + bad) | ScoreTexts(str(exported), text="review")
        scored = answers.scored | "Values" >> beam.Map(
            lambda answer: (answer["element"]["id"], list(answer["probabilities"].values()))
        )
        labels = answers.scored | "Label" >> beam.Map(lambda answer: answer["label"] in ("praise", "blame"))
        failed = answers.failed | "Reasons" >> beam.Map(lambda row: (row["element"]["id"], row["reason"]))
        assert_that(scored, close_to(expected), label="scored")
        assert_that(labels, equal_to([True] * len(TEXTS)), label="labels")
        assert_that(failed, equal_to(reasons), label="failed")


@pytest.mark.slow
def test_the_handler_answers_keyed_strings_in_run_inference(exported: Path):
    expected = dict(zip(TEXTS, ExportedModel(exported).predict(TEXTS), strict=True))
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        answers = (
            pipeline
            | beam.Create([(text, text) for text in TEXTS])
            | RunInference(KeyedModelHandler(ClassifierHandler(str(exported))))
            | beam.MapTuple(lambda key, answer: (key, answer.probabilities))
        )
        assert_that(answers, close_to(expected))


def test_a_model_of_single_texts_refuses_a_second_text(exported: Path):
    with pytest.raises(InputError, match="takes single texts; leave out text_pair"):
        ScoreTexts(str(exported), text="review", text_pair="other")
