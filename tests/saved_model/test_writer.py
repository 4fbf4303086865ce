"""The writer: a version is complete and verified, or it is not there."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from support.cases import slow_but
from support.paths import ROOT
from tensorflow_serving.apis import prediction_log_pb2

from bert_serving import contract
from bert_serving.contract import Graph, Precision
from bert_serving.errors import ExportError, VerificationError
from bert_serving.saved_model import writer
from bert_serving.saved_model.export import export_run
from bert_serving.saved_model.manifest import Verification, load_manifest
from bert_serving.saved_model.options import ExportOptions
from bert_serving.saved_model.reader import ExportedModel
from bert_serving.saved_model.verification.verify import verify


@pytest.fixture
def verified_here(monkeypatch):
    """Verifies in this process: the same checks, ten seconds sooner. `exported` was verified in a fresh one."""
    monkeypatch.setattr(writer, "verify_in_fresh_process", verify)


@pytest.fixture
def export(trained, tmp_path, verified_here):
    def export(base=tmp_path, **options):
        return export_run(trained.run, ExportOptions(base, "tiny", **options), classifier=trained.classifier)

    return export


def names(folder):
    return sorted(path.name for path in folder.iterdir())


# === Version numbers ===


@pytest.mark.slow
def test_versions_are_numbered_on_and_may_be_chosen(export, tmp_path):
    assert export(version=7) == tmp_path / "tiny" / "7"
    (tmp_path / "tiny" / "not a version").mkdir()
    assert export() == tmp_path / "tiny" / "8"
    assert names(tmp_path / "tiny") == ["7", "8", "not a version"]
    manifest = load_manifest(tmp_path / "tiny" / "8")
    assert (manifest.version, manifest.name, manifest.graph) == (8, "tiny", Graph.RAGGED)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"version": 0}, "version 0 is not a positive integer"),
        ({"version": -3}, "version -3 is not a positive integer"),
        ({"version": 4}, r"tiny/4: version 4 exists and is never overwritten; leave --version out for 5"),
        ({"version": 3}, "version 3 exists"),
    ],
)
def test_versions_that_cannot_be_are_refused(options, message, export, tmp_path):
    (tmp_path / "tiny" / "4").mkdir(parents=True)
    (tmp_path / "tiny" / "3").write_text("even a file")
    with pytest.raises(ExportError, match=message):
        export(**options)
    assert names(tmp_path / "tiny") == ["3", "4"]


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../tiny", "/tiny", ".hidden", "a b", "a\n"])
def test_a_name_that_is_no_single_folder_is_refused(name, trained, tmp_path):
    with pytest.raises(ExportError, match="cannot name a model"):
        export_run(trained.run, ExportOptions(tmp_path / "models", name), classifier=trained.classifier)
    assert names(tmp_path) == []


# === Nothing half-written ===


@pytest.mark.slow
def test_a_poller_sees_whole_and_verified_versions_only(export, tmp_path):
    seen, faults, done = set(), [], threading.Event()

    def poll():
        while not done.is_set():
            with contextlib.suppress(FileNotFoundError):
                for path in (tmp_path / "tiny").iterdir():
                    if path.name.isdigit() and path.name not in seen:
                        seen.add(path.name)
                        manifest = load_manifest(path)
                        if not (path / "saved_model.pb").is_file():
                            faults.append("no graph")
                        if manifest is None or manifest.verification is None or not manifest.verification.passed:
                            faults.append("not verified")
            time.sleep(0.0005)

    poller = threading.Thread(target=poll)
    poller.start()
    try:
        export()
        time.sleep(0.05)
    finally:
        done.set()
        poller.join()
    assert (seen, faults) == ({"1"}, [])


@pytest.mark.slow
def test_during_verification_nothing_has_a_number_yet(trained, tmp_path, monkeypatch):
    seen = []

    def look(folder, **reference):
        seen.append((names(tmp_path / "tiny"), load_manifest(folder).verification.passed))
        return verify(folder, **reference)

    monkeypatch.setattr(writer, "verify_in_fresh_process", look)
    export_run(trained.run, ExportOptions(tmp_path, "tiny"), classifier=trained.classifier)
    ((found, passed),) = seen
    assert len(found) == 1
    assert found[0].startswith(".tmp-1-")
    assert not passed


def test_an_export_that_fails_verification_is_not_published(trained, tmp_path, monkeypatch):
    verdict = Verification(passed=False, problems=("probabilities differ", "a signature is missing"))
    monkeypatch.setattr(writer, "verify_in_fresh_process", lambda folder, **_: verdict)
    with pytest.raises(VerificationError) as caught:
        export_run(trained.run, ExportOptions(tmp_path, "tiny"), classifier=trained.classifier)
    assert caught.value.problems == ["probabilities differ", "a signature is missing"]
    assert "tiny version 1 was not published" in str(caught.value)
    assert names(tmp_path / "tiny") == []


def test_a_graph_that_disagrees_with_the_model_in_memory_is_not_published(export, tmp_path, monkeypatch):
    right = writer._golden

    def wrong(classifier):
        golden = right(classifier)
        golden.probabilities[0] += 1e-3
        return golden

    monkeypatch.setattr(writer, "_golden", wrong)
    with pytest.raises(
        VerificationError, match=r"probabilities in a batch of 1 differ from the model in memory by 0\.001"
    ):
        export()
    assert names(tmp_path / "tiny") == []


def test_a_floor_that_no_export_can_meet_is_refused(export, tmp_path):
    with pytest.raises(ExportError, match=r"an export needs TensorFlow Serving 2\.10, the floor is 2\.9 "):
        export(minimum_tf_serving="2.9")
    assert names(tmp_path) == []


@pytest.mark.parametrize("base", ["file/models", "file", "/proc/models"])
def test_a_folder_that_cannot_be_written_is_one_clear_line(base, export, tmp_path):
    # Not by permissions: the tests may run as root, whom they do not stop.
    (tmp_path / "file").write_text("a regular file")
    with pytest.raises(ExportError, match=r"cannot write the export: .+; choose another --to") as caught:
        export(base=tmp_path / base)
    assert "\n" not in str(caught.value)
    assert names(tmp_path) == ["file"]


def test_a_full_disk_leaves_nothing(export, tmp_path, monkeypatch):
    def full(*_, **__):
        raise tf.errors.ResourceExhaustedError(None, None, "No space left on device")

    monkeypatch.setattr(tf.saved_model, "save", full)
    with pytest.raises(ExportError, match="No space left on device"):
        export()
    assert names(tmp_path / "tiny") == []


def test_a_path_that_tensorflow_takes_for_a_pattern_is_refused(export, tmp_path):
    with pytest.raises(ExportError, match=r"cannot read from a path with \["):
        export(base=tmp_path / "models [1]")
    assert names(tmp_path) == []


@pytest.mark.slow
def test_of_two_exporters_of_one_version_the_second_is_told(trained, tmp_path, monkeypatch):
    options = ExportOptions(tmp_path, "tiny", version=5)
    entered = []

    def overtaken(folder, **reference):
        if not entered:
            entered.append(folder)
            # The other exporter starts later, and is done first.
            export_run(trained.run, options, classifier=trained.classifier)
            entered.append((tmp_path / "tiny" / "5" / contract.MANIFEST_FILE).read_bytes())
        return verify(folder, **reference)

    monkeypatch.setattr(writer, "verify_in_fresh_process", overtaken)
    with pytest.raises(ExportError, match="another process wrote this version meanwhile"):
        export_run(trained.run, options, classifier=trained.classifier)
    assert names(tmp_path / "tiny") == ["5"]
    assert (tmp_path / "tiny" / "5" / contract.MANIFEST_FILE).read_bytes() == entered[1]
    assert verify(tmp_path / "tiny" / "5").passed


@pytest.mark.slow
def test_a_killed_exporter_leaves_only_a_harmless_temporary_folder(trained, export, tmp_path):
    code = (
        "import sys; from pathlib import Path; from bert_serving.saved_model.export import export_run;"
        "from bert_serving.saved_model.options import ExportOptions;"
        "from bert_serving.training.run_folder import RunFolder;"
        "export_run(RunFolder(Path(sys.argv[1])), ExportOptions(Path(sys.argv[2]), 'tiny'))"
    )
    # A session of its own, so that the verifying process dies with it.
    child = subprocess.Popen([sys.executable, "-c", code, trained.run.path, tmp_path], start_new_session=True)
    try:
        deadline = time.monotonic() + 120
        while not list(tmp_path.glob("tiny/.tmp-*/*/saved_model.pb")):
            assert child.poll() is None, "the exporter ended too soon"
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
    (left,) = names(tmp_path / "tiny")
    assert left.startswith(".tmp-1-")
    assert export() == tmp_path / "tiny" / "1"
    assert verify(tmp_path / "tiny" / "1").passed


# === What is in a version ===


def test_a_version_folder_holds_what_the_contract_names(exported):
    for name in (
        "saved_model.pb",
        "fingerprint.pb",
        contract.VOCABULARY_ASSET,
        contract.LABELS_ASSET,
        contract.WARMUP_FILE,
        contract.MANIFEST_FILE,
    ):
        assert (exported / name).stat().st_size, name
    assert (exported / contract.LABELS_ASSET).read_text() == "blame\npraise\n"
    manifest = load_manifest(exported)
    assert manifest.oldest_tf_serving == "2.10"
    assert manifest.verification.golden_texts == 12
    assert manifest.metrics["rows"] == 10
    assert manifest.versions["tensorflow"] == tf.__version__


@pytest.mark.slow
@pytest.mark.parametrize("graph", slow_but(Graph, kept=[Graph.RAGGED]))
def test_an_export_moved_elsewhere_answers_as_the_model_in_memory(graph, trained, export, tmp_path):
    original = export(base=tmp_path / "built", graph=graph)
    moved = shutil.copytree(original, tmp_path / "elsewhere" / "12")
    shutil.rmtree(tmp_path / "built")
    texts = ["", "good film", "bad " * 99, "漢字 \U0001f62d", *trained.splits.test.texts]
    np.testing.assert_allclose(ExportedModel(moved).predict(texts), trained.classifier.predict(texts), atol=2e-6)


@pytest.mark.slow
def test_a_bfloat16_export_is_near_the_model_in_memory_and_says_what_it_is(trained, export):
    exported = export(precision=Precision.BFLOAT16)
    manifest = load_manifest(exported)
    assert (manifest.precision, manifest.verification.passed) == (Precision.BFLOAT16, True)
    assert (manifest.limits.max_metric_loss, manifest.limits.max_probability_difference) == (0.01, None)
    assert "10 validation texts, accuracy" in (exported / contract.CARD_FILE).read_text("utf-8")
    texts = ["good film", "bad " * 9, *trained.splits.test.texts]
    difference = np.abs(ExportedModel(exported).predict(texts) - trained.classifier.predict(texts)).max()
    assert 0 < difference < 0.02


def test_bfloat16_without_the_ragged_graph_is_refused(export, tmp_path):
    with pytest.raises(
        ExportError,
        match=r"the trimmed graph computes in float32 only, got bfloat16; leave --precision \(export.precision\) out",
    ):
        export(graph=Graph.TRIMMED, precision=Precision.BFLOAT16)
    assert not (tmp_path / "tiny").exists()


def test_nothing_in_a_version_points_back_to_where_it_was_built(exported, trained, encoder_folder):
    # All folders of the session lie in one: encoder, cache, run and models.
    places = [encoder_folder.parents[1], ROOT, Path(os.environ["BERT_SERVING_CACHE"]), ".tmp-"]
    assert trained.run.path.is_relative_to(places[0])
    for path in exported.rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        assert [path.name, *(str(place) for place in places if str(place).encode() in content)] == [path.name]


def test_the_warmup_file_replays_through_the_signatures(exported):
    model = ExportedModel(exported)
    sizes = []
    for record in tf.data.TFRecordDataset(str(exported / contract.WARMUP_FILE)):
        log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
        if log.WhichOneof("log_type") == "predict_log":
            request = log.predict_log.request
            inputs = {name: tf.make_ndarray(tensor) for name, tensor in request.inputs.items()}
        else:
            request = log.classify_log.request
            inputs = {"inputs": [example.SerializeToString() for example in request.input.example_list.examples]}
        assert request.model_spec.name == "tiny"
        assert request.model_spec.version.value == 0
        answer = model.call(request.model_spec.signature_name, **inputs)
        (size,) = {len(value) for value in (*answer.values(), *inputs.values())}
        sizes.append((request.model_spec.signature_name, size))
    assert sizes == [("serving_default", 1), ("serving_default", 8), ("serving_default", 32), ("classify", 1)]
