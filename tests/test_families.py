"""Classifiers of every family answer as transformers does, and are served."""

import json

import numpy as np
import pytest
from support.cases import slow_but
from support.classifier_answers import our_answers
from support.hugging_face_folders import CLASSES, write_fine_tuned
from support.paths import RECORDED as FOLDER

from bert_serving.clients.grpc_client import GrpcClient
from bert_serving.hugging_face import convert_classifier
from bert_serving.model_server.process import ModelServerProcess

RECORDED = json.loads((FOLDER / "classifiers.json").read_text("utf-8"))["answers"]
TEXTS = ["good film", "caf\u00e9 is \u6211 not", "", "bad " * 80]
# The others share the code of one of these.
SERVED = ("roberta", "xlm-roberta")


COMPARED = [
    ("bert", "singles"),
    ("albert", "pairs"),
    ("roberta", "pairs"),
    ("xlm-roberta", "pairs"),
    ("camembert", "singles"),
]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    base = tmp_path_factory.mktemp("families")
    for model_type in CLASSES:
        write_fine_tuned(base / model_type, model_type)
    return base


@pytest.mark.parametrize(
    ("model_type", "kind"),
    slow_but([(name, kind) for name in CLASSES for kind in ("singles", "pairs")], kept=COMPARED),
)
def test_token_ids_and_logits_are_those_that_transformers_recorded(folders, tmp_path, model_type, kind):
    converted = convert_classifier(folders / model_type, tmp_path, sequence_length=32, pairs=kind == "pairs")
    found, expected = our_answers(converted.classifier, pairs=kind == "pairs"), RECORDED[model_type][kind]
    assert found["ids"] == expected["ids"]
    np.testing.assert_allclose(found["logits"], expected["logits"], atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("model_type", SERVED)
@pytest.mark.parametrize("precision", ["float32", "bfloat16", "int8"])
def test_a_folder_is_exported_and_served(folders, bert_serving, tmp_path, model_type, precision):
    expected = convert_classifier(folders / model_type, tmp_path / "scratch").classifier.predict(TEXTS)
    (tmp_path / "texts.txt").write_text("\n".join([text for text in TEXTS if text] * 8), "utf-8")
    options = ("--precision", precision, "--texts", "texts.txt", "--minimum-tf-serving", "2.17")
    ended = bert_serving("export", folders / model_type, "--to", "models", *options)
    assert (ended.status, ended.err) == (0, "")
    models = tmp_path / "models" / model_type
    with ModelServerProcess(models, model_type) as server, GrpcClient(server.grpc_address) as client:
        found = client.predict(model_type, TEXTS)
    tolerance = 1e-5 if precision == "float32" else 0.05
    np.testing.assert_allclose([each.probabilities for each in found], expected, atol=tolerance)
