"""Run files, run folders and exports of earlier versions still train, resume, export and serve.

`tests/recorded/runs_of_first_version.tar.gz` was made by the code of commit 5bb8e17: a finished run with its export, and one that was
interrupted after its first epoch, with every run-file key that has another name today; `answers.json` has what they answered then.
"""

import json
import tarfile

import numpy as np
import pytest
from support.paths import RECORDED

from bert_serving.clients.grpc_client import GrpcClient
from bert_serving.config import load_run_file
from bert_serving.errors import RenamedWarning, RunFileError
from bert_serving.model_server.process import ModelServerProcess
from bert_serving.saved_model.export import export_run
from bert_serving.saved_model.manifest import load_manifest
from bert_serving.saved_model.options import ExportOptions
from bert_serving.saved_model.verification.verify import verify
from bert_serving.training.loading import load_classifier
from bert_serving.training.run import train
from bert_serving.training.run_folder import RunFolder

FINISHED = {
    "data.validation_share": "data.validation_fraction",
    "data.rows": "data.max_train_rows",
    "training.warmup_share": "training.warmup_ratio",
    "training.gradient_norm": "training.max_grad_norm",
    "training.average_epochs": "training.average_last_epochs",
    "training.adversarial_norm": "training.adversarial_epsilon",
    "export.largest_difference": "export.max_probability_difference",
    "export.changed_labels": "export.max_label_change_rate",
}
UNFINISHED = {"encoder.normalise": "encoder.normalizer", "training.unfreeze_layers": "training.gradual_unfreezing"}


@pytest.fixture(scope="module")
def former(tmp_path_factory):
    folder = tmp_path_factory.mktemp("former")
    with tarfile.open(RECORDED / "runs_of_first_version.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    for path in [*folder.rglob("*.toml"), *folder.rglob("*.json")]:
        path.write_text(path.read_text("utf-8").replace("@FOLDER@", str(folder)), "utf-8")
    return folder


@pytest.fixture(scope="module")
def answers(former):
    return json.loads((former / "answers.json").read_text("utf-8"))


@pytest.mark.parametrize(("name", "renamed"), [("finished", FINISHED), ("unfinished", UNFINISHED)])
def test_each_former_key_is_taken_and_its_new_name_is_told(former, name, renamed):
    path = former / name / "run.toml"
    with pytest.warns(RenamedWarning) as told:
        config = load_run_file(path)
    assert sorted(str(each.message) for each in told) == sorted(
        f"{path}: {old} is now {new}" for old, new in renamed.items()
    )
    if name == "finished":
        assert (config.data.validation_fraction, config.data.max_train_rows) == (0.25, 50)
        assert (config.training.warmup_ratio, config.training.max_grad_norm) == (0.2, 2.0)
        assert (config.training.average_last_epochs, config.training.adversarial_epsilon) == (2, 0.1)
        assert (config.export.max_probability_difference, config.export.max_label_change_rate) == (0.001, 0.01)


def test_a_key_under_both_of_its_names_is_refused(former):
    with pytest.warns(RenamedWarning), pytest.raises(RunFileError, match="warmup_ratio and warmup_share are one key"):
        load_run_file(former / "finished" / "run.toml", ["training.warmup_ratio=0.1"])


def test_a_finished_run_answers(former, answers):
    run = RunFolder(former / "finished" / "run")
    np.testing.assert_allclose(load_classifier(run).predict(answers["texts"]), answers["probabilities"], atol=1e-6)


@pytest.mark.slow
def test_a_finished_run_exports(former, tmp_path):
    run = RunFolder(former / "finished" / "run")
    exported = export_run(run, ExportOptions(tmp_path, "again"))
    assert load_manifest(exported).verification.passed


@pytest.mark.slow
def test_an_unfinished_run_is_resumed_to_the_same_weights(former, answers):
    with pytest.warns(RenamedWarning):
        config = load_run_file(former / "unfinished" / "run.toml")
    resumed = train(config, former / "unfinished" / "run", resume=True)
    np.testing.assert_allclose(resumed.classifier.predict(answers["texts"]), answers["unfinished"], atol=1e-5)


@pytest.mark.slow
def test_a_former_run_file_trains(former, answers, tmp_path):
    """To another model of the same seed: the training step has changed since."""
    with pytest.warns(RenamedWarning):
        config = load_run_file(former / "finished" / "run.toml")
    trained = train(config, tmp_path / "run")
    assert trained.metrics["validation"]["accuracy"] >= answers["metrics"]["validation"]["accuracy"]
    assert trained.classifier.predict(answers["texts"]).shape == np.shape(answers["probabilities"])


def test_a_former_export_verifies_and_is_served(former, answers):
    version = former / "models" / "finished" / "1"
    manifest = load_manifest(version)
    assert (manifest.limits.max_probability_difference, manifest.limits.max_label_change_rate) == (1e-5, 0.002)
    assert verify(version).passed
    with ModelServerProcess(version.parent, "finished") as server, GrpcClient(server.grpc_address) as client:
        found = client.predict("finished", answers["texts"])
        told = client.describe("finished")
    assert (told.head, told.labels) == (manifest.head, manifest.labels)
    np.testing.assert_allclose([each.probabilities for each in found], answers["probabilities"], atol=1e-6)
