"""The whole road with a tiny encoder."""

import json

import numpy as np


def test_a_run_learns_its_data_and_leaves_a_whole_run_folder(trained):
    assert trained.metrics["test"]["accuracy"] >= 0.9
    names = {path.name for path in trained.run.path.iterdir()}
    assert {"run.toml", "run.json", "labels.txt", "encoder.json", "preprocessing", "weights", "history.json", "audit.json",
            "metrics.json", "pictures"} <= names
    assert "checkpoints" not in names
    assert json.loads((trained.run.path / "metrics.json").read_text())["baselines"]["majority"]["rows"] == 10


def test_an_export_answers_as_the_model_in_memory(trained, exported):
    from bert_serving.saved_model.reader import ExportedModel

    texts = trained.splits.test.texts
    np.testing.assert_allclose(ExportedModel(exported).predict(texts), trained.classifier.predict(texts), atol=2e-6)
