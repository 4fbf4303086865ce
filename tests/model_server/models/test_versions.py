import asyncio
import logging
import shutil

import pytest
import tensorflow as tf
from support import serving_models
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import model_pb2, predict_pb2, prediction_log_pb2

from bert_serving import contract
from bert_serving.errors import InputError
from bert_serving.model_server.batching.executor import Executor
from bert_serving.model_server.config.options import ModelConfig, ServerOptions, VersionPolicy
from bert_serving.model_server.inference.predict import prepare_predict
from bert_serving.model_server.models.folders import version_folders
from bert_serving.model_server.models.store import ModelStore
from bert_serving.model_server.models.versions import AVAILABLE, END, START
from bert_serving.model_server.observability.metrics import Metrics
from bert_serving.saved_model.versions import latest_version


@pytest.fixture(scope="module")
def saved_model(tmp_path_factory):
    return serving_models.write_arithmetic(tmp_path_factory.mktemp("saved") / "1")


def store_of(base, *, policy=VersionPolicy(), **options):  # noqa: B008  frozen
    return ModelStore(ServerOptions(models=[ModelConfig("m", base, policy)], **options))


def copy_versions(saved_model, base, *versions):
    for version in versions:
        shutil.copytree(saved_model, base / str(version))
    return base


def latest():
    return model_pb2.ModelSpec(name="m")


def log_of(value, *, signature="", key="x"):
    request = predict_pb2.PredictRequest()
    request.model_spec.signature_name = signature
    request.model_spec.name = "another name"
    request.model_spec.version.value = 77
    request.inputs[key].CopyFrom(tf.make_tensor_proto(value))
    return prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))


def write_warmup(version_folder, *records):
    path = version_folder / contract.WARMUP_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record if isinstance(record, bytes) else record.SerializeToString())


def load_one(store):
    store.load()
    (record,) = store.versions("m")
    return record


def test_only_folders_named_by_a_plain_number_are_versions(tmp_path):
    for name in ("1", "00000022", "3.tmp", "v4", "-5", "٦", "temp", str(2**63)):
        (tmp_path / name).mkdir()
    (tmp_path / "7").write_text("a file")
    assert version_folders(tmp_path) == {1: tmp_path / "1", 22: tmp_path / "00000022"}
    assert latest_version(tmp_path) == tmp_path / "00000022"


def test_the_log_names_a_folder_that_another_of_its_number_hides(tmp_path, saved_model, caplog):
    copy_versions(saved_model, tmp_path, "007", "7")
    with caplog.at_level(logging.WARNING, logger="bert_serving.model_server"):
        record = load_one(store_of(tmp_path))
    assert (record.version, record.folder.name, record.state) == (7, "7", AVAILABLE)
    assert [each.getMessage() for each in caplog.records] == [
        f"version 7 is read from {tmp_path}/7; {tmp_path}/007 is ignored"
    ]


@pytest.mark.parametrize(
    ("versions", "policy", "served"),
    [
        ((1, 2, 10), VersionPolicy(), [10]),
        ((1, 2, 10), VersionPolicy(specific=(1, 2, 3)), [2, 1]),
    ],
)
def test_the_chosen_versions_become_available_and_the_highest_answers(tmp_path, saved_model, versions, policy, served):
    store = store_of(copy_versions(saved_model, tmp_path, *versions), policy=policy)
    assert not store.ready
    store.load()
    assert [record.version for record in store.versions("m")] == served
    assert {record.state for record in store.versions("m")} == {AVAILABLE}
    assert store.resolve(latest()).version == served[0]
    assert store.ready


def test_a_version_that_fails_leaves_the_others_in_service(tmp_path, saved_model, caplog):
    copy_versions(saved_model, tmp_path, 1)
    (tmp_path / "2").mkdir()
    (tmp_path / "2" / "saved_model.pb").write_bytes(b"not a SavedModel")
    store = store_of(tmp_path, policy=VersionPolicy(latest=2))
    with caplog.at_level(logging.INFO, logger="bert_serving.model_server"):
        store.load()
    assert [(record.version, record.state) for record in store.versions("m")] == [(2, END), (1, AVAILABLE)]
    assert store.resolve(latest()).version == 1
    lines = [record.getMessage() for record in caplog.records]
    assert sum("m version 2 failed to load: " in line for line in lines) == 1
    assert "m version 1 is AVAILABLE" in lines
    assert all("\n" not in line for line in lines)


def test_missing_variables_end_the_version_with_an_error(tmp_path, saved_model):
    copy_versions(saved_model, tmp_path, 1)
    shutil.rmtree(tmp_path / "1" / "variables")
    record = load_one(store_of(tmp_path))
    assert record.state == END
    assert record.error_code != "OK"
    assert "variables" in record.error_message


def test_tags_that_the_model_does_not_have_end_the_version_with_an_error(tmp_path, saved_model):
    record = load_one(store_of(copy_versions(saved_model, tmp_path, 1), saved_model_tags=("serve", "gpu")))
    assert record.state == END
    assert "gpu" in record.error_message


@pytest.mark.parametrize(
    ("folders", "text"),
    [
        (None, "does not exist"),
        ((), "No versions of servable m found under base path"),
        (("latest",), "none of its subfolders is a number"),
        (("3",), "none of the versions asked for"),
    ],
)
def test_a_base_path_without_a_version_is_an_error_before_any_load(tmp_path, folders, text):
    base = tmp_path / "base"
    if folders is not None:
        for name in ("", *folders):
            (base / name).mkdir(parents=True, exist_ok=True)
    policy = VersionPolicy(specific=(9,)) if folders == ("3",) else VersionPolicy()
    with pytest.raises(InputError) as caught:
        store_of(base, policy=policy).load()
    assert text in str(caught.value)
    assert str(base) in str(caught.value)


def test_a_version_is_not_available_before_its_warmup_has_run(tmp_path, saved_model, monkeypatch):
    copy_versions(saved_model, tmp_path, 1)
    write_warmup(tmp_path / "1", log_of([1.0]), log_of([[1.0, 2.0, 3.0]], signature="matrix"))
    store, states = store_of(tmp_path, warmup_iterations=2), []
    from bert_serving.model_server.models import warmup

    def watched(servable, request):
        states.append(store.versions("m")[0].state)
        return prepare_predict(servable, request)

    monkeypatch.setattr(warmup, "prepare_predict", watched)
    assert load_one(store).state == AVAILABLE
    assert len(states) == 4
    assert AVAILABLE not in states
    assert START not in states


def test_no_warmup_iterations_mean_one(tmp_path, saved_model):
    copy_versions(saved_model, tmp_path, 1)
    write_warmup(tmp_path / "1", log_of(["a"]))
    assert load_one(store_of(tmp_path, warmup_iterations=0)).state == END


def test_the_time_of_a_warmup_is_among_the_metrics(tmp_path, saved_model):
    copy_versions(saved_model, tmp_path, 1, 2)
    write_warmup(tmp_path / "1", log_of([1.0]))
    store = store_of(tmp_path, policy=VersionPolicy(latest=None))

    async def load():
        metrics = Metrics(store, Executor(1, most_waiting=1))
        await asyncio.to_thread(store.load)
        await asyncio.sleep(0)
        return metrics.text()

    text = asyncio.run(load())
    assert f':tensorflow:serving:model_warmup_latency_count{{model_path="{tmp_path / "1"}",status="OK"}} 1\n' in text
    assert f'model_warmup_latency_count{{model_path="{tmp_path / "2"}"' not in text


@pytest.mark.parametrize(
    ("records", "code", "text"),
    [
        ([log_of([1.0]), log_of(["a"])], "INVALID_ARGUMENT", "to be float but string is provided"),
        ([log_of([1.0], signature="no")], "FAILED_PRECONDITION", 'Serving signature key "no" not found.'),
        ([log_of([[1.0]], signature="matrix")], "INVALID_ARGUMENT", "size-incompatible"),
        ([b"\xff\xff"], "INVALID_ARGUMENT", "Failed to parse warmup record"),
        ([log_of([1.0])] * 1001, "INVALID_ARGUMENT", "Number of warmup records exceeds the maximum (1000)"),
        (
            [prediction_log_pb2.PredictionLog(session_run_log=prediction_log_pb2.SessionRunLog())],
            "UNIMPLEMENTED",
            "Unsupported log_type for warmup: session_run_log",
        ),
    ],
)
def test_a_warmup_record_that_fails_ends_the_version(tmp_path, saved_model, records, code, text):
    copy_versions(saved_model, tmp_path, 1)
    write_warmup(tmp_path / "1", *records)
    record = load_one(store_of(tmp_path))
    assert (record.state, record.error_code) == (END, code)
    assert text in record.error_message
    assert load_one(store_of(tmp_path, enable_model_warmup=False)).state == AVAILABLE


def test_warmup_data_that_is_no_tfrecord_ends_the_version(tmp_path, saved_model):
    copy_versions(saved_model, tmp_path, 1)
    write_warmup(tmp_path / "1")
    (tmp_path / "1" / contract.WARMUP_FILE).write_bytes(b"this is not a TFRecord file at all, is it")
    record = load_one(store_of(tmp_path))
    assert (record.state, record.error_code) == (END, "DATA_LOSS")
    assert "Please verify your warmup data is in TFRecord format" in record.error_message


@pytest.mark.parametrize("method", ["classify", "regress"])
def test_requests_with_examples_warm_up(tmp_path, saved_model, method):
    copy_versions(saved_model, tmp_path, 1)
    log = prediction_log_pb2.PredictionLog()
    request = getattr(log, f"{method}_log").request
    request.model_spec.signature_name = method
    request.input.example_list.examples.add().features.feature["x"].float_list.value.append(1.0)
    write_warmup(tmp_path / "1", log)
    assert load_one(store_of(tmp_path)).state == AVAILABLE
    request.model_spec.signature_name = "no"
    write_warmup(tmp_path / "1", log)
    assert load_one(store_of(tmp_path)).state == END


def test_requests_of_several_tasks_warm_up(tmp_path, saved_model):
    copy_versions(saved_model, tmp_path, 1)
    log = prediction_log_pb2.PredictionLog()
    request = log.multi_inference_log.request
    for method in ("regress", "classify"):
        task = request.tasks.add(method_name=f"tensorflow/serving/{method}")
        task.model_spec.name, task.model_spec.signature_name = "m", method
    request.input.example_list.examples.add().features.feature["x"].float_list.value.append(1.0)
    write_warmup(tmp_path / "1", log)
    assert load_one(store_of(tmp_path)).state == AVAILABLE
    request.tasks[0].method_name = "tensorflow/serving/predict"
    write_warmup(tmp_path / "1", log)
    assert load_one(store_of(tmp_path)).error_code == "UNIMPLEMENTED"


def test_an_input_with_a_default_may_be_left_out(tmp_path, saved_model):
    copy_versions(saved_model, tmp_path, 1)
    path = tmp_path / "1" / "saved_model.pb"
    model = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    signature = model.meta_graphs[0].signature_def["two_inputs"]
    signature.defaults["b"].CopyFrom(tf.make_tensor_proto([10.0]))
    path.write_bytes(model.SerializeToString())
    store = store_of(tmp_path)
    store.load()
    servable = store.resolve(latest())
    request = predict_pb2.PredictRequest()
    request.model_spec.signature_name = "two_inputs"
    request.inputs["a"].CopyFrom(tf.make_tensor_proto([1.0]))
    assert list(prepare_predict(servable, request).run().outputs["sum"].float_val) == [11.0]
    request.inputs["b"].CopyFrom(tf.make_tensor_proto([2.0]))
    assert list(prepare_predict(servable, request).run().outputs["sum"].float_val) == [3.0]


def test_tensor_content_is_given_where_it_is_asked_for(tmp_path, saved_model):
    store = store_of(copy_versions(saved_model, tmp_path, 1))
    store.load()
    request = predict_pb2.PredictRequest()
    request.inputs["x"].CopyFrom(tf.make_tensor_proto([1.0, 2.0]))
    output = prepare_predict(store.resolve(latest()), request, tensor_content=True).run().outputs["y"]
    assert output.tensor_content
    assert not output.float_val
    assert tf.make_ndarray(output).tolist() == [2.5, 3.0]
