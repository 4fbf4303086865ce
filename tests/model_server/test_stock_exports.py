"""Exports of each graph and precision answer on a stock server as they do in this process: scripts/conformance."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from bert_serving.clients.grpc_client import GrpcClient
from bert_serving.clients.rest_client import RestClient

STOCK = os.environ.get("TF_SERVING", "")
FOLDER = os.environ.get("TF_SERVING_EXPORTS", "")
pytestmark = pytest.mark.skipif(
    not (STOCK and FOLDER), reason="needs a server with fresh exports: scripts/conformance starts one"
)
TEXTS = ["", "good film", "the wheel is bad", "very " * 50, "naïve café 我的自行车", "[SEP] [MASK]"]
# Rounding of another processor; in 8 bits, one step of the quantization may fall to the other side.
TOLERANCES = {"float32": 1e-5, "bfloat16": 0.02, "int8": 0.02}
NAMES = sorted(path.name for path in Path(FOLDER).iterdir()) if FOLDER else ["none"]


@pytest.mark.parametrize("name", NAMES)
def test_an_export_answers_there_as_it_does_here(name):
    from bert_serving.saved_model.reader import ExportedModel

    here = ExportedModel(Path(FOLDER, name, "1")).predict(TEXTS, None)
    grpc, rest = STOCK.split(",")
    for client in (GrpcClient(grpc), RestClient(rest)):
        with client:
            there = client.predict(name, TEXTS)
        values = np.array([each.probabilities for each in there])
        assert np.abs(values - here).max() < TOLERANCES[name.partition("_")[2]]
        labels = json.loads(Path(FOLDER, name, "1", "assets.extra", "bert_serving.json").read_text())["labels"]
        assert [each.label for each in there] == [labels[index] for index in values.argmax(axis=1)]
