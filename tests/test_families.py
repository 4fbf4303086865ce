"""Classifiers of every family answer as transformers does, from the files that their authors publish."""

import json
from pathlib import Path

import numpy as np
import pytest
from support.classifier_answers import our_answers
from support.hugging_face_folders import CLASSES, write_fine_tuned

from bert_serving.hugging_face import convert_classifier

RECORDED = json.loads(Path(__file__).with_name("recorded").joinpath("classifiers.json").read_text("utf-8"))["answers"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    base = tmp_path_factory.mktemp("families")
    for model_type in CLASSES:
        write_fine_tuned(base / model_type, model_type)
    return base


@pytest.mark.parametrize("kind", ["singles", "pairs"])
@pytest.mark.parametrize("model_type", CLASSES)
def test_token_ids_and_logits_are_those_that_transformers_recorded(folders, tmp_path, model_type, kind):
    converted = convert_classifier(folders / model_type, tmp_path, sequence_length=32, pairs=kind == "pairs")
    found, expected = our_answers(converted.classifier, pairs=kind == "pairs"), RECORDED[model_type][kind]
    assert found["ids"] == expected["ids"]
    np.testing.assert_allclose(found["logits"], expected["logits"], atol=1e-5)
