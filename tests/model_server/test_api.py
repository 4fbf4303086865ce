import base64
import concurrent.futures
import gzip
import json
import os
import re

import grpc
import httpx
import numpy as np
import pytest
import tensorflow as tf
from support import serving_models
from tensorflow.core.framework import tensor_pb2, types_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from bert_serving.model_server.config.batching import BatchingParameters
from bert_serving.model_server.config.options import ModelConfig, ServerOptions, VersionPolicy
from bert_serving.model_server.server import ServerThread

MODEL = "half_plus_two"
TF1_MODEL = "half_plus_two_tf1"
TF1_MODEL_WITH_AN_ASSET = "half_plus_three"


# "host:8500,http://host:8501": ask a stock server instead, started with what `python tests/support/serving_models.py FOLDER` writes.
STOCK = os.environ.get("TF_SERVING", "")
ours = pytest.mark.skipif(bool(STOCK), reason="the stock server does otherwise (docs/how_to/server.md)")


class StockServer:
    """A server that is already there."""

    def __init__(self, addresses):
        self.grpc_address, self.rest_url = addresses.split(",")


@pytest.fixture(
    scope="module", params=[None] if STOCK else [None, BatchingParameters()], ids=lambda each: "batched" if each else ""
)
def server(request, tmp_path_factory):
    if STOCK:
        yield StockServer(STOCK)
        return
    base = tmp_path_factory.mktemp("models")
    serving_models.write_conformance_models(base)
    (base / "broken" / "7").mkdir(parents=True)
    options = ServerOptions(
        models=[
            ModelConfig(MODEL, base / MODEL, VersionPolicy(latest=2), labels={"stable": 123}),
            ModelConfig("texts", base / "texts"),
            ModelConfig(TF1_MODEL, base / TF1_MODEL),
            ModelConfig(TF1_MODEL_WITH_AN_ASSET, base / TF1_MODEL_WITH_AN_ASSET),
            ModelConfig("broken", base / "broken"),
        ],
        batching=request.param,
    )
    with ServerThread(options) as running:
        yield running


# TensorFlow Serving's batching refuses scalars, inputs of unequal rows and more than 1,000 rows too.
without_batching = pytest.mark.parametrize("server", [None], indirect=True, ids=[""])


@pytest.fixture(scope="module")
def http(server):
    with httpx.Client(base_url=server.rest_url, timeout=20) as client:
        yield client


@pytest.fixture(scope="module")
def channel(server):
    with grpc.insecure_channel(server.grpc_address) as channel:
        yield channel


@pytest.fixture(scope="module")
def prediction(channel):
    return prediction_service_pb2_grpc.PredictionServiceStub(channel)


@pytest.fixture(scope="module")
def models(channel):
    return model_service_pb2_grpc.ModelServiceStub(channel)


def predict_request(inputs=None, *, name=MODEL, signature="", version=None, label=None, output_filter=()):
    request = predict_pb2.PredictRequest(output_filter=output_filter)
    request.model_spec.name = name
    request.model_spec.signature_name = signature
    if version is not None:
        request.model_spec.version.value = version
    if label is not None:
        request.model_spec.version_label = label
    for key, value in (inputs or {}).items():
        proto = value if isinstance(value, tensor_pb2.TensorProto) else tf.make_tensor_proto(value)
        request.inputs[key].CopyFrom(proto)
    return request


def classify_request(values, *, signature="classify", name=MODEL):
    request = classification_pb2.ClassificationRequest()
    request.model_spec.name = name
    request.model_spec.signature_name = signature
    for value in values:
        request.input.example_list.examples.add().features.feature["x"].float_list.value.append(value)
    return request


def post(http, body, *, path=f"/v1/models/{MODEL}:predict"):
    content = body if isinstance(body, bytes | str) else json.dumps(body)
    return http.post(path, content=content)


def answer_of(reply):
    """The JSON of a reply; TensorFlow Serving sends strings that are not UTF-8 as they are."""
    return json.loads(reply.content.decode("utf-8", errors="replace"))


def floats(*values):
    return np.array(values, dtype=np.float32)


def refused(call, request):
    with pytest.raises(grpc.RpcError) as caught:
        call(request, timeout=20)
    return caught.value.code().name, caught.value.details()


# === gRPC: Predict ===


@pytest.mark.parametrize(
    ("choice", "version", "expected"),
    [
        ({}, 124, [4.0, 4.5]),
        ({"version": 123}, 123, [3.0, 3.5]),
        ({"version": 124}, 124, [4.0, 4.5]),
        ({"label": "stable"}, 123, [3.0, 3.5]),
        ({"signature": "serving_default"}, 124, [4.0, 4.5]),
    ],
)
def test_predict_answers_with_the_resolved_signature_and_version(prediction, choice, version, expected):
    response = prediction.Predict(predict_request({"x": floats(2, 3)}, **choice))
    assert list(response.outputs) == ["y"]
    assert list(response.outputs["y"].float_val) == expected
    assert response.outputs["y"].tensor_content == b""
    spec = response.model_spec
    assert (spec.name, spec.signature_name, spec.version.value) == (MODEL, "serving_default", version)
    assert spec.version_label == ""


@pytest.mark.parametrize(("asked", "given"), [((), {"y", "z"}), (("z",), {"z"}), (("z", "y"), {"y", "z"})])
def test_predict_gives_the_outputs_of_the_filter_or_else_all(prediction, asked, given):
    response = prediction.Predict(predict_request({"x": floats(2)}, signature="two_outputs", output_filter=asked))
    assert set(response.outputs) == given


def test_predict_takes_content_typed_values_and_the_short_form_alike(prediction):
    content = tf.make_tensor_proto(floats(5, 5, 5))
    assert content.tensor_content
    typed = tensor_pb2.TensorProto(dtype=types_pb2.DT_FLOAT, float_val=[5, 5, 5])
    typed.tensor_shape.dim.add(size=3)
    short = tensor_pb2.TensorProto(dtype=types_pb2.DT_FLOAT, float_val=[5])
    short.tensor_shape.dim.add(size=3)
    answers = [
        list(prediction.Predict(predict_request({"x": form})).outputs["y"].float_val)
        for form in (content, typed, short)
    ]
    assert answers == [[5.5, 5.5, 5.5]] * 3


@without_batching
def test_predict_returns_every_data_type_in_its_typed_field(prediction):
    inputs = {
        "i": np.array([-1, 2], np.int32),
        "l": np.array([2**62], np.int64),
        "b": np.array([True, False]),
        "d": np.array([[0.1]], np.float64),
        "u": np.array(255, np.uint8),
    }
    outputs = prediction.Predict(predict_request(inputs, signature="kinds")).outputs
    for name, value in inputs.items():
        assert outputs[name].tensor_content == b""
        np.testing.assert_array_equal(tf.make_ndarray(outputs[name]), value)
    half = prediction.Predict(predict_request({"h": np.array([1.5], np.float16)}, signature="half_precision"))
    assert tf.make_ndarray(half.outputs["h"]).tolist() == [3.0]


@without_batching
def test_predict_keeps_bytes_with_zeros_at_their_end(prediction):
    for value in (b"a\0\0", [b"a\0", b"\xff\0"]):
        outputs = prediction.Predict(predict_request({"s": value}, signature="strings")).outputs
        assert list(outputs["plain"].string_val) == ([value] if isinstance(value, bytes) else value)


def _bad_tensor(**fields):
    proto = tensor_pb2.TensorProto(**fields)
    proto.tensor_shape.dim.add(size=2)
    return proto


@pytest.mark.parametrize(
    ("request_", "code", "text"),
    [
        (predict_pb2.PredictRequest(), "INVALID_ARGUMENT", "Missing ModelSpec"),
        (predict_request(name=""), "INVALID_ARGUMENT", "ModelSpec has no name specified."),
        (predict_request(name="no"), "NOT_FOUND", "Servable not found for request: Latest(no)"),
        pytest.param(
            predict_request(name="broken"), "NOT_FOUND", "Servable not found for request: Latest(broken)", marks=ours
        ),
        (predict_request(version=9), "NOT_FOUND", f"Servable not found for request: Specific({MODEL}, 9)"),
        (predict_request(label="no"), "INVALID_ARGUMENT", "Unrecognized servable version label: no"),
        (predict_request(signature="no"), "FAILED_PRECONDITION", 'Serving signature key "no" not found.'),
        (
            predict_request({}),
            "INVALID_ARGUMENT",
            "input size does not match signature: 0!=1 len({}) != len({x}). Sent extra: {}. Missing but required: {x}.",
        ),
        (
            predict_request({"x": 1.0, "w": 1.0}),
            "INVALID_ARGUMENT",
            "2!=1 len({w,x}) != len({x}). Sent extra: {w}. Missing but required: {}.",
        ),
        (
            predict_request({"w": 1.0}),
            "INVALID_ARGUMENT",
            "Signature input alias: x(feed name: serving_default_x:0) not found in request and no default value "
            "provided. Inputs expected to be in the request {w}, or default input alias set: ",
        ),
        (predict_request({"x": ["a"]}), "INVALID_ARGUMENT", "Expects arg[0] to be float but string is provided"),
        (
            predict_request({"a": floats(1), "b": np.array([1])}, signature="two_inputs"),
            "INVALID_ARGUMENT",
            "Expects arg[1] to be float but int64 is provided",
        ),
        (
            predict_request({"x": 1.0}, output_filter=["no"]),
            "INVALID_ARGUMENT",
            "output tensor alias not found in signature: no Outputs expected to be in the set {y}.",
        ),
        (
            predict_request({"x": 1.0}, output_filter=["y", "y"]),
            "INVALID_ARGUMENT",
            "duplicate output tensor alias: y",
        ),
        (predict_request({"x": floats([1, 2])}, signature="matrix"), "INVALID_ARGUMENT", "size-incompatible"),
        (predict_request({"x": tensor_pb2.TensorProto()}), "INVALID_ARGUMENT", "tensor parsing error: x"),
        (predict_request({"x": tensor_pb2.TensorProto(dtype=99)}), "INVALID_ARGUMENT", "tensor parsing error: x"),
        (
            predict_request({"x": _bad_tensor(dtype=types_pb2.DT_FLOAT, tensor_content=b"abc")}),
            "INVALID_ARGUMENT",
            "tensor parsing error: x",
        ),
        pytest.param(
            predict_request({"x": tensor_pb2.TensorProto(dtype=types_pb2.DT_RESOURCE)}),
            "INVALID_ARGUMENT",
            "Expects arg[0] to be float but resource is provided",
            marks=ours,
        ),
    ],
)
def test_predict_refuses_with_the_code_and_text_of_the_reference(prediction, request_, code, text):
    got_code, got_text = refused(prediction.Predict, request_)
    assert got_code == code
    assert text in got_text


def test_a_long_error_text_is_cut(prediction):
    _, text = refused(prediction.Predict, predict_request(signature="s" * 5000))
    assert text.endswith("...TRUNCATED")
    assert len(text) == 1024 + len("...TRUNCATED")


@ours
def test_an_error_text_is_measured_in_bytes_and_cut_between_two_characters(prediction):
    code, text = refused(prediction.Predict, predict_request(signature="長" * 3000))
    assert code == "FAILED_PRECONDITION"
    assert text.startswith('Serving signature key "長長')
    assert text.endswith("長...TRUNCATED")
    assert 1020 < len(text.removesuffix("...TRUNCATED").encode()) <= 1024


def test_requests_at_the_same_time_each_get_their_own_answer(prediction):
    def ask(number):
        return prediction.Predict(predict_request({"x": floats(number)})).outputs["y"].float_val[0]

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        assert list(pool.map(ask, range(200))) == [number / 2 + 3 for number in range(200)]


# === A graph of TensorFlow 1 ===


both_models = pytest.mark.parametrize(("name", "offset"), [(TF1_MODEL, 2.0), (TF1_MODEL_WITH_AN_ASSET, 3.0)])


@both_models
def test_a_model_of_tensorflow_1_answers_by_every_method(prediction, name, offset):
    answer = prediction.Predict(predict_request({"x": floats(2.0, 4.0).reshape(2, 1)}, name=name))
    assert list(answer.outputs["y"].float_val) == [1.0 + offset, 2.0 + offset]
    regressed = prediction.Regress(regress_request([2.0], signature="regress_x_to_y", name=name))
    assert [item.value for item in regressed.result.regressions] == [1.0 + offset]
    classified = prediction.Classify(classify_request([4.0], signature="classify_x_to_y", name=name))
    assert [item.score for item in classified.result.classifications[0].classes] == [2.0 + offset]
    request = multi_request(("regress_x_to_y", "regress", name), ("classify_x_to_y", "classify", name), values=(6.0,))
    first, second = prediction.MultiInference(request).results
    assert first.regression_result.regressions[0].value == 3.0 + offset
    assert second.classification_result.classifications[0].classes[0].score == 3.0 + offset


@both_models
def test_a_model_of_tensorflow_1_answers_over_rest(http, name, offset):
    def ask(method, body):
        return post(http, body, path=f"/v1/models/{name}:{method}").json()

    assert ask("predict", {"instances": [[2.0], [4.0]]}) == {"predictions": [[1.0 + offset], [2.0 + offset]]}
    regressed = ask("regress", {"signature_name": "regress_x_to_y", "examples": [{"x": 2.0}]})
    assert regressed == {"results": [1.0 + offset]}
    classified = ask("classify", {"signature_name": "classify_x_to_y", "examples": [{"x": 2.0}]})
    assert classified == {"results": [[["", 1.0 + offset]]]}


# What tensorflow_model_server_test.py of TensorFlow Serving expects of two models in one configuration.
@pytest.mark.parametrize(
    ("name", "version", "expected"), [(TF1_MODEL, 123, 3.0), (TF1_MODEL_WITH_AN_ASSET, 123, 4.0), (MODEL, 124, 4.0)]
)
def test_the_models_of_one_configuration_answer_side_by_side(prediction, models, http, name, version, expected):
    answer = prediction.Predict(predict_request({"x": floats(2.0)}, name=name, output_filter=["y"]))
    assert (list(answer.outputs["y"].float_val), answer.outputs["y"].dtype) == ([expected], types_pb2.DT_FLOAT)
    spec = answer.model_spec
    assert (spec.name, spec.signature_name, spec.version.value) == (name, "serving_default", version)
    assert post(http, {"instances": [2.0]}, path=f"/v1/models/{name}:predict").json() == {"predictions": [expected]}
    status = models.GetModelStatus(status_request(name)).model_version_status[0]
    assert (status.version, status.status.error_code) == (version, 0)


@ours
def test_a_wrong_input_of_a_model_of_tensorflow_1_is_refused_with_its_reason(prediction):
    wrong = predict_request({"x": ["a"]}, name=TF1_MODEL_WITH_AN_ASSET)
    assert refused(prediction.Predict, wrong) == (
        "INVALID_ARGUMENT",
        "Expects arg[0] to be float but string is provided",
    )
    request = classify_request([1.0], signature="classify_x_to_y", name=TF1_MODEL_WITH_AN_ASSET)
    request.input.example_list.examples[0].features.feature["x"].float_list.value.append(2.0)
    code, text = refused(prediction.Classify, request)
    assert (code, "Key: x" in text) == ("INVALID_ARGUMENT", True)


# === gRPC: the others ===


def test_classify_answers_with_labels_and_scores_for_each_example(prediction):
    response = prediction.Classify(classify_request([2.0, 4.0]))
    pairs = [[(item.label, item.score) for item in row.classes] for row in response.result.classifications]
    assert pairs == [[("y", 4.0), ("minus y", -4.0)], [("y", 5.0), ("minus y", -5.0)]]
    spec = response.model_spec
    assert (spec.name, spec.signature_name, spec.version.value) == (MODEL, "classify", 124)


def test_classify_without_classes_has_empty_labels(prediction):
    response = prediction.Classify(classify_request([2.0], signature="scores_only"))
    assert [(item.label, item.score) for item in response.result.classifications[0].classes] == [("", 2.0)]


def test_the_context_of_a_classify_request_belongs_to_every_example(prediction):
    request = classify_request([])
    listed = request.input.example_list_with_context
    listed.context.features.feature["x"].float_list.value.append(2.0)
    listed.examples.add()
    listed.examples.add().features.feature["x"].float_list.value.append(4.0)
    response = prediction.Classify(request)
    assert [row.classes[0].score for row in response.result.classifications] == [4.0, 5.0]


@pytest.mark.parametrize(
    ("request_", "code", "text"),
    [
        (classification_pb2.ClassificationRequest(), "INVALID_ARGUMENT", "Missing ModelSpec"),
        (classify_request([1.0], name="no"), "NOT_FOUND", "Latest(no)"),
        (classify_request([1.0], signature="no"), "INVALID_ARGUMENT", "No signature was found with the name: no"),
        (classify_request([]), "INVALID_ARGUMENT", "Input is empty."),
        (classify_request([1.0], signature="two_inputs"), "INVALID_ARGUMENT", "Expected one input Tensor."),
        (classify_request([1.0], signature=""), "INVALID_ARGUMENT", "No classification inputs found in SignatureDef: "),
        (
            classify_request([1.0], signature="neither"),
            "INVALID_ARGUMENT",
            'Expected classification signature outputs to contain at least one of "classes" or "scores".',
        ),
        (
            classify_request([1.0], signature="flat_scores"),
            "INVALID_ARGUMENT",
            "Expected Tensor shape: [batch_size num_classes] but got [1]",
        ),
        (
            classify_request([1.0], signature="three_outputs"),
            "INVALID_ARGUMENT",
            "Expected one or two output Tensors, found 3",
        ),
        (
            classify_request([1.0], signature="double_scores"),
            "INVALID_ARGUMENT",
            "Expected scores Tensor of DT_FLOAT. Got: DT_DOUBLE",
        ),
        (
            classify_request([1.0], signature="one_score_more"),
            "INVALID_ARGUMENT",
            "Expected scores output batch size of 1. Got: 2",
        ),
        (
            classify_request([1.0], signature="one_class_less"),
            "INVALID_ARGUMENT",
            "Tensors class and score should match in dim_size(1). Got 1 vs. 2",
        ),
    ],
)
def test_classify_refuses_with_the_code_and_text_of_the_reference(prediction, request_, code, text):
    got_code, got_text = refused(prediction.Classify, request_)
    assert got_code == code
    assert text in got_text


def metadata_request(*fields, name=MODEL):
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=fields)
    request.model_spec.name = name
    return request


def test_metadata_holds_name_version_and_signatures(prediction):
    response = prediction.GetModelMetadata(metadata_request("signature_def"))
    signatures = get_model_metadata_pb2.SignatureDefMap()
    response.metadata["signature_def"].Unpack(signatures)
    assert (response.model_spec.name, response.model_spec.version.value) == (MODEL, 124)
    assert response.model_spec.signature_name == ""
    assert signatures.signature_def["two_inputs"].inputs["a"].dtype == types_pb2.DT_FLOAT


@pytest.mark.parametrize(
    ("request_", "code", "text"),
    [
        (get_model_metadata_pb2.GetModelMetadataRequest(), "INVALID_ARGUMENT", "Missing ModelSpec"),
        (metadata_request(), "INVALID_ARGUMENT", "must specify at least one metadata_field"),
        (metadata_request("no"), "INVALID_ARGUMENT", "Metadata field no is not supported"),
        (metadata_request("signature_def", name="no"), "NOT_FOUND", "Servable not found for request: Latest(no)"),
    ],
)
def test_metadata_refuses_with_the_code_and_text_of_the_reference(prediction, request_, code, text):
    got_code, got_text = refused(prediction.GetModelMetadata, request_)
    assert got_code == code
    assert text in got_text


def status_request(name=MODEL, version=None, label=None):
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = name
    if version is not None:
        request.model_spec.version.value = version
    if label is not None:
        request.model_spec.version_label = label
    return request


@pytest.mark.parametrize(
    ("request_", "versions"),
    [
        (status_request(), [124, 123]),
        (status_request(version=123), [123]),
    ],
)
def test_status_lists_the_versions_highest_first(models, request_, versions):
    listed = models.GetModelStatus(request_).model_version_status
    assert [item.version for item in listed] == versions
    assert {item.state for item in listed} == {get_model_status_pb2.ModelVersionStatus.AVAILABLE}
    assert {item.status.error_code for item in listed} == {0}


@ours
def test_the_status_by_a_label_is_that_of_its_version(models):
    (item,) = models.GetModelStatus(status_request(label="stable")).model_version_status
    assert item.version == 123


@ours
def test_a_version_that_failed_to_load_has_state_end_and_its_error(models):
    (item,) = models.GetModelStatus(status_request("broken")).model_version_status
    assert item.state == get_model_status_pb2.ModelVersionStatus.END
    assert item.status.error_code == 5
    assert "Could not find SavedModel" in item.status.error_message


@pytest.mark.parametrize(
    ("request_", "code", "text"),
    [
        (get_model_status_pb2.GetModelStatusRequest(), "INVALID_ARGUMENT", "Missing ModelSpec"),
        (status_request("no"), "NOT_FOUND", "Could not find any versions of model no"),
        (status_request(version=9), "NOT_FOUND", f"Could not find version 9 of model {MODEL}"),
    ],
)
def test_status_refuses_with_the_code_and_text_of_the_reference(models, request_, code, text):
    assert refused(models.GetModelStatus, request_) == (code, text)


def regress_request(values, *, signature="regress", name=MODEL):
    request = regression_pb2.RegressionRequest()
    request.model_spec.name = name
    request.model_spec.signature_name = signature
    for value in values:
        request.input.example_list.examples.add().features.feature["x"].float_list.value.append(value)
    return request


def test_regress_answers_with_a_number_for_each_example(prediction):
    response = prediction.Regress(regress_request([2.0, 4.0]))
    assert [item.value for item in response.result.regressions] == [4.0, 5.0]
    spec = response.model_spec
    assert (spec.name, spec.signature_name, spec.version.value) == (MODEL, "regress", 124)


@pytest.mark.parametrize(
    ("request_", "code", "text"),
    [
        (regression_pb2.RegressionRequest(), "INVALID_ARGUMENT", "Missing ModelSpec"),
        (regress_request([1.0], name="no"), "NOT_FOUND", "Latest(no)"),
        (regress_request([1.0], signature="no"), "INVALID_ARGUMENT", "No signature was found with the name: no"),
        (regress_request([]), "INVALID_ARGUMENT", "Input is empty."),
        (regress_request([1.0], signature="two_inputs"), "INVALID_ARGUMENT", "Expected one input Tensor."),
        (regress_request([1.0], signature="classify"), "INVALID_ARGUMENT", "Expected one output Tensor."),
        (regress_request([1.0], signature=""), "INVALID_ARGUMENT", "No regression inputs found in SignatureDef: "),
        (regress_request([1.0], signature="neither"), "INVALID_ARGUMENT", "No regression outputs found"),
        (
            regress_request([1.0], signature="wide_regress"),
            "INVALID_ARGUMENT",
            "to be either [batch_size] or [batch_size, 1] but got [1,2]",
        ),
    ],
)
def test_regress_refuses_with_the_code_and_text_of_the_reference(prediction, request_, code, text):
    got_code, got_text = refused(prediction.Regress, request_)
    assert got_code == code
    assert text in got_text


def multi_request(*tasks, values=(2.0,)):
    """A request from tuples of signature, method and, where it differs, model name."""
    request = inference_pb2.MultiInferenceRequest()
    for signature, method, *name in tasks:
        task = request.tasks.add(method_name=f"tensorflow/serving/{method}")
        task.model_spec.name = name[0] if name else MODEL
        task.model_spec.signature_name = signature
    request.input.CopyFrom(regress_request(values).input)
    return request


def test_multi_inference_answers_each_task_in_order(prediction):
    response = prediction.MultiInference(multi_request(("regress", "regress"), ("classify", "classify")))
    first, second = response.results
    assert [item.value for item in first.regression_result.regressions] == [4.0]
    assert [item.score for item in second.classification_result.classifications[0].classes] == [4.0, -4.0]
    assert [each.model_spec.signature_name for each in response.results] == ["regress", "classify"]
    assert {each.model_spec.version.value for each in response.results} == {124}


@pytest.mark.parametrize(
    ("request_", "code", "text"),
    [
        (inference_pb2.MultiInferenceRequest(), "INVALID_ARGUMENT", "ModelSpec has no name specified."),
        (
            multi_request(("regress", "regress"), ("classify", "classify", "texts")),
            "INVALID_ARGUMENT",
            "must access the same model name",
        ),
        (
            multi_request(("regress", "regress"), ("regress", "regress")),
            "INVALID_ARGUMENT",
            "Duplicate evaluation of signature: regress",
        ),
        (
            multi_request(("no", "regress")),
            "INVALID_ARGUMENT",
            "Requested signature not found in model graph: no",
        ),
        (
            multi_request(("regress", "predict")),
            "UNIMPLEMENTED",
            "Unsupported signature method_name: tensorflow/serving/predict",
        ),
        (multi_request(("regress", "regress"), values=()), "INVALID_ARGUMENT", "Input is empty."),
        (multi_request(("regress", "regress", "no")), "NOT_FOUND", "Latest(no)"),
    ],
)
def test_multi_inference_refuses_with_the_code_and_text_of_the_reference(prediction, request_, code, text):
    got_code, got_text = refused(prediction.MultiInference, request_)
    assert got_code == code
    assert text in got_text


# === REST: paths ===


@pytest.mark.parametrize(
    ("method", "path", "status", "text"),
    [
        ("GET", "/v1/foo", 400, "Malformed request: GET /v1/foo"),
        ("POST", "/v1/foo", 400, "Malformed request: POST /v1/foo"),
        ("GET", "/v1/models/metadata/metadata/x", 400, "Malformed request: GET"),
        ("GET", "/v1/models/versions/1", 400, "Missing model name in request."),
        ("POST", "/v1/models", 400, "Malformed request: POST /v1/models"),
        ("GET", "/v1/models/foo:predict", 400, "Malformed request: GET"),
        ("GET", "/v1/models/foo/version/50:predict", 400, "Malformed request: GET"),
        ("POST", "/v1/models/foo/version/50:regress", 400, "Malformed request: POST"),
        ("POST", "/v1/models/foo/versions/HELLO:regress", 400, "Malformed request: POST"),
        ("POST", "/v1/models/foo/versions/:predict", 400, "Malformed request: POST"),
        ("POST", "/v1/models/foo/versions/1/labels/a:predict", 400, "Malformed request: POST"),
        ("POST", "/v1/models/foo:explain", 400, "Malformed request: POST"),
        ("PUT", f"/v1/models/{MODEL}", 400, "Malformed request: PUT"),
        ("DELETE", f"/v1/models/{MODEL}", 400, "Malformed request: DELETE"),
        ("POST", f"/v1/models/{MODEL}:Predict", 400, f"Malformed request: POST /v1/models/{MODEL}:Predict"),
        pytest.param(
            "POST", f"/v1/models/foo/versions/{2**64 - 1}:predict", 400, "Failed to convert version", marks=ours
        ),
        pytest.param(
            "POST", f"/v1/models/{MODEL}:regress", 400, "When method is regress, key 'examples' is expected", marks=ours
        ),
        ("GET", "/v1/models/no", 404, "Could not find any versions of model no"),
        ("GET", f"/v1/models/{MODEL}/versions/9", 404, f"Could not find version 9 of model {MODEL}"),
        ("GET", "/v1/models/no/metadata", 404, "Servable not found for request: Latest(no)"),
        ("GET", f"/v1/models/{MODEL}/labels/no/metadata", 400, "Unrecognized servable version label: no"),
        pytest.param("GET", "/nothing", 404, "Nothing at /nothing", marks=ours),
    ],
)
def test_paths_that_lead_nowhere_get_the_status_and_text_of_the_reference(http, method, path, status, text):
    reply = http.request(method, path, content=b'{"instances": [1.0]}' if method == "POST" else None)
    assert reply.status_code == status
    assert list(reply.json()) == ["error"]
    assert text in reply.json()["error"]
    assert reply.headers["content-type"] == "application/json"


@pytest.mark.parametrize("garbage", [b"}", b" more", b"\xff\xfe", b"\x00"])
def test_what_follows_the_object_is_ignored_be_it_text_or_not(http, garbage):
    reply = post(http, b'{"instances": [2.0]}' + garbage)
    assert (reply.status_code, reply.json()) == (200, {"predictions": [4.0]})


def test_base64_may_be_wrapped(http):
    raw = bytes(range(200))
    wrapped = base64.encodebytes(raw).decode()
    assert wrapped.count("\n") > 2
    body = {"signature_name": "strings", "inputs": {"s": [{"b64": wrapped}]}}
    assert base64.b64decode(answer_of(post(http, body))["outputs"]["raw_bytes"][0]["b64"]) == raw


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (f"/v1/models/{MODEL}:predict", 4.0),
        (f"/V1/Models/{MODEL}:predict", 4.0),
        (f"/v1/models/{MODEL}/versions/123:predict", 3.0),
        (f"/v1/models/{MODEL}/versions/000123:predict", 3.0),
        (f"/v1/models/{MODEL}/labels/stable:predict", 3.0),
        ("/v1/models/half%5Fplus%5Ftwo:predict", 4.0),
        pytest.param(f"/v1/models/{MODEL}:predict?a=b", 4.0, marks=ours),
    ],
)
def test_paths_choose_the_version(http, path, expected):
    reply = post(http, {"instances": [2.0]}, path=path)
    assert (reply.status_code, reply.json()) == (200, {"predictions": [expected]})


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/v1/models/no:predict", "Latest(no)"),
        ("/v1/models/no/versions/50:predict", "Specific(no, 50)"),
        pytest.param("/v1/models/broken:predict", "Latest(broken)", marks=ours),
        ("/v1/models/no:classify", "Latest(no)"),
    ],
)
def test_a_model_that_is_not_loaded_is_not_found(http, path, text):
    reply = post(http, {"instances": [1.0], "examples": [{"x": 1.0}]}, path=path)
    assert reply.status_code == 404
    assert reply.json()["error"].startswith(f"Servable not found for request: {text}")


@pytest.mark.parametrize(("origin", "status"), [("https://a.example", 200), ("null", 400), (None, 400)])
def test_options_is_answered_by_the_origin(http, origin, status):
    reply = http.options(f"/v1/models/{MODEL}", headers={"Origin": origin} if origin else {})
    assert (reply.status_code, reply.content) == (status, b"")


# === REST: predict ===


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        ({"instances": [2.0, 3.0]}, {"predictions": [4.0, 4.5]}),
        ({"instances": [2, 3]}, {"predictions": [4.0, 4.5]}),
        ({"instances": [{"x": 2.0}]}, {"predictions": [4.0]}),
        ({"instances": [[1.0, 2.0], [3.0, 4.0]]}, {"predictions": [[3.5, 4.0], [4.5, 5.0]]}),
        ({"instances": [[]]}, {"predictions": [[]]}),
        ({"inputs": [2.0, 3.0]}, {"outputs": [4.0, 4.5]}),
        ({"inputs": []}, {"outputs": []}),
        ({"inputs": {"x": [[2.0]], "ignored": "key"}}, {"outputs": [[4.0]]}),
        ({"signature_name": "serving_default", "instances": [2.0], "other": 1}, {"predictions": [4.0]}),
        (
            {"signature_name": "two_outputs", "instances": [2.0, 4.0]},
            {"predictions": [{"y": 1.0, "z": [2.0, -2.0]}, {"y": 2.0, "z": [4.0, -4.0]}]},
        ),
        (
            {"signature_name": "two_outputs", "inputs": [2.0]},
            {"outputs": {"y": [1.0], "z": [[2.0, -2.0]]}},
        ),
        ({"signature_name": "scalar_output", "inputs": [2.0, 1.0]}, {"outputs": {"y": [2.0, 1.0], "total": 3.0}}),
        ({"signature_name": "uneven_outputs", "inputs": [2.0]}, {"outputs": {"a": [2.0], "b": [2.0, 2.0]}}),
        (
            {"signature_name": "two_inputs", "instances": [{"a": 1, "b": 2}, {"b": 3, "a": 4}]},
            {"predictions": [3.0, 7.0]},
        ),
        ({"signature_name": "two_inputs", "inputs": {"a": [1], "b": [2]}}, {"outputs": [3.0]}),
        (
            {"signature_name": "kinds", "instances": [{"i": -1, "l": 2**62, "b": True, "d": 0.1, "u": 255}]},
            {"predictions": [{"i": -1, "l": 2**62, "b": True, "d": 0.1, "u": 255}]},
        ),
    ],
)
def test_predict_answers_in_the_layout_of_the_request(http, body, answer):
    reply = post(http, body)
    assert (reply.status_code, reply.json()) == (200, answer)


@without_batching
def test_a_scalar_goes_in_and_out_by_name(http):
    assert post(http, {"inputs": 2.0}).json() == {"outputs": 4.0}


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        ("", 400, "JSON Parse error: The document is empty"),
        ("  \n", 400, "JSON Parse error: The document is empty"),
        ("instances = [1, 2]", 400, "JSON Parse error: Invalid value. at offset: 0"),
        ('{"instances": [1.0, ]}', 400, "JSON Parse error: "),
        ('{"instances": [1.0', 400, "at offset: 18"),
        pytest.param(
            b'{"instances": ["\xff"]}', 400, "JSON Parse error: Invalid encoding in string. at offset: 16", marks=ours
        ),
        ('{"instances": [' + "9" * 5000 + "]}", 400, "Number too big"),
        ('{"instances": [1' + "0" * 400 + "]}", 400, "Number too big"),
        ('{"instances": ' + "[" * 100_000, 400, "JSON Parse error: "),
        pytest.param('{"instances": ' + "[" * 500 + "]" * 500 + "}", 400, "nested 499 deep", marks=ours),
        ("[1, 2]", 400, "JSON Value: [1, 2] Is not object"),
        ("1", 400, "Is not object"),
        ("{}", 400, "Missing 'inputs' or 'instances' key"),
        ({"signature_name": 5, "instances": [1.0]}, 400, "'signature_name' key must be a string value."),
        ({"signature_name": "no", "instances": [1.0]}, 400, 'Serving signature name: "no" not found in signature def'),
        ('{"signature_name": "\\ud800", "instances": [1.0]}', 400, "surrogate"),
        ({"instances": [1.0], "inputs": [1.0]}, 400, "expecting only one of 'inputs' or 'instances'"),
        ({"instances": 1.0}, 400, "Expecting 'instances' to be an list/array"),
        ({"instances": {"x": 1}}, 400, "Expecting 'instances' to be an list/array"),
        ({"instances": []}, 400, "No values in 'instances' array"),
        ({"instances": ["a"]}, 400, 'JSON Value: "a" Type: String is not of expected type: float'),
        ({"instances": [1.0, True]}, 400, "Failed to process element: 1 of 'instances' list. Error: "),
        ({"instances": [None]}, 400, "JSON Value: null Type: Null is not of expected type: float"),
        ({"instances": [{"b64": "YQ=="}]}, 400, "Type: Object is not of expected type: float"),
        ({"instances": [[1.0, 2.0], [3.0]]}, 400, "Expecting tensor size: 2 but got: 1"),
        ({"instances": [[[1.0, 2.0]], [[1.0], [2.0]]]}, 400, "Expecting shape [1,2] but got: [2,1]"),
        ({"instances": [[1.0, [2.0]]]}, 400, "Encountered list at unexpected level: 1 expected < 1"),
        ({"instances": [[[1.0], 2.0]]}, 400, "found at incorrect level: 2 in the JSON DOM. Expected at level: 2"),
        ({"inputs": [[1.0], [1.0, 2.0]]}, 400, "Encountered list at unexpected size: 2 at level: 1 expected size: 1"),
        ({"instances": [1.0, {"x": 1.0}]}, 400, "Expecting value/list but got object at item 1 of input list"),
        ({"instances": [{"x": 1.0}, 1.0]}, 400, "Expecting object but got list at item 1 of input list"),
        ({"instances": [{"w": 1.0}]}, 400, "Failed to process element: 0 key: w of 'instances' list."),
        ({"signature_name": "two_inputs", "instances": [1.0]}, 400, "expecting list of objects"),
        ({"signature_name": "two_inputs", "instances": [{"a": 1}]}, 400, "keys must be equal to: a,b"),
        ({"signature_name": "two_inputs", "inputs": [1.0]}, 400, "expecting an object"),
        ({"signature_name": "two_inputs", "inputs": {"a": [1]}}, 400, "Missing named input: b in 'inputs' object."),
        ({"signature_name": "strings", "instances": [1]}, 400, "is not of expected type: string"),
        ({"signature_name": "strings", "instances": [{"b64": "***"}]}, 400, "Unable to base64 decode"),
        ({"signature_name": "strings", "inputs": {"s": {"b65": "YQ=="}}}, 400, "not formatted correctly for base64"),
        ('{"signature_name": "strings", "instances": ["\\ud800"]}', 400, "surrogate pair in string is invalid"),
        ({"signature_name": "half_precision", "inputs": [1.0]}, 501, "Conversion of JSON Value: 1.0 to type: half"),
        ({"signature_name": "half_precision", "instances": [1.0]}, 400, "Error: UNIMPLEMENTED: Conversion"),
        (
            {"signature_name": "half_output", "instances": [1.0]},
            400,
            "Failed to write JSON value for tensor type: half",
        ),
        (
            {"signature_name": "scalar_output", "instances": [1.0]},
            400,
            "Tensor name: total has no shape information",
        ),
        ({"signature_name": "uneven_outputs", "instances": [1.0]}, 400, "has inconsistent batch size:"),
        ({"signature_name": "matrix", "instances": [[1.0, 2.0]]}, 400, "size-incompatible"),
        pytest.param({"instances": ["a" * 10_000]}, 400, "aaaa... Type: String", marks=ours),
    ],
)
def test_predict_refuses_with_the_status_and_text_of_the_reference(http, body, status, text):
    reply = post(http, body)
    assert list(reply.json()) == ["error"]
    assert text in reply.json()["error"]
    assert reply.status_code == status
    assert len(reply.content) < 1500


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("i", 1.0),
        ("i", 2**31),
        ("i", True),
        ("l", 2**63),
        pytest.param("u", -1, marks=ours),
        pytest.param("u", 256, marks=ours),
        ("b", 1),
        ("b", "true"),
        ("d", "1"),
    ],
)
def test_a_number_of_the_wrong_kind_is_refused_by_name(http, name, value):
    instance = {"i": 1, "l": 1, "b": True, "d": 1, "u": 1} | {name: value}
    reply = post(http, {"signature_name": "kinds", "instances": [instance]})
    assert reply.status_code == 400
    assert f"key: {name} of 'instances' list" in reply.json()["error"]
    assert "is not of expected type" in reply.json()["error"]


def test_an_unknown_model_is_reported_before_wrong_instances(http):
    reply = post(http, {"signature_name": "no", "instances": []}, path="/v1/models/no:predict")
    assert reply.status_code == 404
    reply = post(http, {"signature_name": 1}, path="/v1/models/no:predict")
    assert reply.status_code == 400
    reply = post(http, {"signature_name": "no", "instances": []})
    assert "not found in signature def" in reply.json()["error"]


def test_bytes_after_the_document_are_ignored(http):
    assert post(http, '{"instances": [2.0]} and more }').json() == {"predictions": [4.0]}


def test_nan_and_infinity_go_in_and_out_bare(http):
    reply = post(http, '{"signature_name": "two_outputs", "inputs": [NaN, Infinity, -Infinity, 1e39]}')
    assert reply.status_code == 200
    assert re.search(r'"y": \[NaN, Infinity, -Infinity, Infinity\]', reply.text)


def test_strings_come_back_as_text_and_outputs_named_bytes_as_base64(http):
    texts = ["", 'quote " and \\', "Käse 😀", "line\nbreak"]
    body = {"signature_name": "strings", "instances": texts}
    assert post(http, body).json()["predictions"] == [
        {"plain": text, "raw_bytes": {"b64": base64.b64encode(text.encode()).decode()}} for text in texts
    ]


@without_batching
def test_base64_goes_in_wherever_a_string_does(http):
    raw = b"\x00\xff\x10"
    value = {"b64": base64.b64encode(raw).decode()}
    for body in (
        {"instances": [value]},
        {"instances": [{"s": value}]},
        {"inputs": [value]},
        {"inputs": {"s": [value]}},
    ):
        answer = answer_of(post(http, body | {"signature_name": "strings"}))
        row = answer["predictions"][0] if "predictions" in answer else None
        got = row["raw_bytes"] if row else answer["outputs"]["raw_bytes"][0]
        assert base64.b64decode(got["b64"]) == raw
    scalar = answer_of(post(http, {"signature_name": "strings", "inputs": value}))["outputs"]
    assert scalar["raw_bytes"] == value


@without_batching
def test_floats_over_rest_are_those_over_grpc_to_the_bit(http, prediction):
    random = np.random.default_rng(5)
    values = np.concatenate(
        [
            random.normal(size=500).astype(np.float32),
            random.integers(1, 2**31 - 2**23, size=500).astype(np.uint32).view(np.float32),
            floats(0.0, -0.0, 0.1, 1 / 3, 1e-45, 3.4028235e38, 16777216.0, 9e6),
        ]
    )
    values = values[np.isfinite(values)]
    if STOCK:  # its threads take denormal numbers for 0
        values = values[(values == 0) | (np.abs(values) > 3e-38)]
    text = "[" + ", ".join(repr(float(value)) for value in values) + "]"
    over_rest = post(http, '{"inputs": %s}' % text).json()["outputs"]  # noqa: UP031
    over_grpc = prediction.Predict(predict_request({"x": values})).outputs["y"].float_val
    np.testing.assert_array_equal(
        np.array(over_rest, np.float32).view(np.uint32), np.array(over_grpc, np.float32).view(np.uint32)
    )
    doubled = post(http, '{"signature_name": "two_outputs", "inputs": %s}' % text).json()["outputs"]["z"]  # noqa: UP031
    np.testing.assert_array_equal(np.array(doubled, np.float32)[:, 0].view(np.uint32), values.view(np.uint32))


@ours
def test_floats_are_written_as_the_shortest_decimals(http):
    reply = post(http, '{"signature_name": "two_outputs", "inputs": [0.2, 3, 0.33333334]}')
    assert '"y": [0.1, 1.5, 0.16666667]' in reply.text
    assert "[3.0, -3.0]" in reply.text


@ours
def test_the_reply_has_a_list_on_one_line_and_a_newline_at_its_end(http):
    assert post(http, {"instances": [2.0, 3.0]}).text == '{\n    "predictions": [4.0, 4.5]\n}\n'
    assert post(http, "{}").text == "{\n    \"error\": \"Missing 'inputs' or 'instances' key\"\n}\n"


def test_a_gzip_body_is_unpacked(http):
    packed = gzip.compress(b'{"instances": [2.0]}')
    url = f"/v1/models/{MODEL}:predict"
    assert http.post(url, content=packed, headers={"Content-Encoding": "gzip"}).json() == {"predictions": [4.0]}
    reply = http.post(url, content=b"no gzip", headers={"Content-Encoding": "gzip"})
    assert reply.status_code == 400
    assert STOCK or "gzip" in reply.json()["error"]


@ours
def test_a_small_answer_does_not_wait_for_an_acknowledgement(http):
    seconds = []
    for _ in range(20):
        seconds.append(post(http, {"instances": [1.0]}).elapsed.total_seconds())
    assert min(seconds) < 0.03


def test_a_large_batch_goes_through(http):
    answer = post(http, {"instances": [[1.0] * 100] * 1000}).json()["predictions"]
    assert np.array(answer).shape == (1000, 100)


def test_a_text_classifier_answers_each_row_with_label_and_probabilities(http):
    (row,) = post(http, {"instances": ["Grüße aus Köln"]}, path="/v1/models/texts:predict").json()["predictions"]
    assert row["label"] == "länger"
    assert sum(row["probabilities"]) == pytest.approx(1.0)
    assert row["logits"] == [2.0, 1.0]


# === REST: classify ===


@pytest.mark.parametrize(
    ("body", "results"),
    [
        ({"examples": [{"x": 2.0}]}, [[["y", 4.0], ["minus y", -4.0]]]),
        (
            {"examples": [{"x": [2.0]}, {"x": 4.5}]},
            [[["y", 4.0], ["minus y", -4.0]], [["y", 5.25], ["minus y", -5.25]]],
        ),
        ({"context": {"x": 2.0}, "examples": [{}]}, [[["y", 4.0], ["minus y", -4.0]]]),
        ({"examples": [{"x": 2.0, "s": "a", "b": {"b64": "/w=="}, "i": [1, True]}]}, [[["y", 4.0], ["minus y", -4.0]]]),
    ],
)
def test_classify_over_rest_gives_pairs_of_label_and_score(http, body, results):
    reply = post(http, body | {"signature_name": "classify"}, path=f"/v1/models/{MODEL}:classify")
    assert (reply.status_code, reply.json()) == (200, {"results": results})


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        ({}, 400, "When method is classify, key 'examples' is expected and was not found"),
        ({"examples": 1}, 400, "Expecting 'examples' value to be an list/array"),
        ({"examples": []}, 400, "'examples' value is an empty array"),
        ({"examples": [1]}, 400, "Example must be JSON object but got JSON Number"),
        ({"context": [], "examples": [{}]}, 400, "Example must be JSON object but got JSON Array"),
        ({"examples": [{"x": None}]}, 400, "Feature: x has element with unexpected JSON type: Null"),
        ({"examples": [{"x": [[1.0]]}]}, 400, "Feature: x has element with unexpected JSON type: Array"),
        ({"examples": [{"x": {"a": 1}}]}, 400, "Feature: x has element with unexpected JSON type: Object"),
        ({"examples": [{"x": [1.0, 1]}]}, 400, "Unexpected element type in feature: x expecting type: float"),
        ({"examples": [{"x": 2**63}]}, 400, "Feature: x has uint64_t element. Only int64_t is supported."),
        ({"examples": [{"x": 1}]}, 400, "x"),
        ({"examples": [{"x": 1.0}], "signature_name": "no"}, 400, "No signature was found with the name: no"),
        ("", 400, "The document is empty"),
    ],
)
def test_classify_over_rest_refuses_with_status_and_text_of_the_reference(http, body, status, text):
    content = {"signature_name": "classify"} | body if isinstance(body, dict) else body
    reply = post(http, content, path=f"/v1/models/{MODEL}:classify")
    assert text in reply.json()["error"]
    assert reply.status_code == status


def test_regress_over_rest_gives_numbers(http):
    body = {"signature_name": "regress", "examples": [{"x": 2.0}, {"x": 3.0}]}
    reply = post(http, body, path=f"/v1/models/{MODEL}:regress")
    assert (reply.status_code, reply.json()) == (200, {"results": [4.0, 4.5]})
    reply = post(http, body | {"signature_name": "no"}, path=f"/v1/models/{MODEL}/versions/123:regress")
    assert reply.status_code == 400
    assert reply.json()["error"].startswith("No signature was found with the name: no")


# === REST: information ===


def test_the_status_of_a_model_has_the_form_of_the_reference(http):
    ok = {"error_code": "OK", "error_message": ""}
    states = [{"version": version, "state": "AVAILABLE", "status": ok} for version in ("124", "123")]
    assert http.get(f"/v1/models/{MODEL}").json() == {"model_version_status": states}
    assert http.get(f"/v1/models/{MODEL}/versions/123").json() == {"model_version_status": states[1:]}


@ours
def test_the_status_of_a_failed_model_is_found_and_tells_why(http):
    reply = http.get("/v1/models/broken")
    (item,) = reply.json()["model_version_status"]
    assert reply.status_code == 200
    assert (item["version"], item["state"], item["status"]["error_code"]) == ("7", "END", "NOT_FOUND")


def test_metadata_has_the_form_of_the_reference(http):
    body = http.get(f"/v1/models/{MODEL}/versions/123/metadata").json()
    assert body["model_spec"] == {"name": MODEL, "signature_name": "", "version": "123"}
    assert body["metadata"]["signature_def"]["signature_def"]["two_inputs"] == {
        "inputs": {
            name: {
                "dtype": "DT_FLOAT",
                "tensor_shape": {"dim": [{"size": "-1", "name": ""}], "unknown_rank": False},
                "name": f"two_inputs_{name}:0",
            }
            for name in ("a", "b")
        },
        "outputs": {
            "sum": {
                "dtype": "DT_FLOAT",
                "tensor_shape": {"dim": [{"size": "-1", "name": ""}], "unknown_rank": False},
                "name": body["metadata"]["signature_def"]["signature_def"]["two_inputs"]["outputs"]["sum"]["name"],
            }
        },
        "method_name": "tensorflow/serving/predict",
        "defaults": {},
    }


@ours
def test_the_models_are_listed_with_their_versions_and_labels(http):
    listed = {model["name"]: model for model in http.get("/v1/models").json()["models"]}
    assert listed[MODEL] == {
        "name": MODEL,
        "versions": {"124": "AVAILABLE", "123": "AVAILABLE"},
        "labels": {"stable": 123},
    }
    assert listed["broken"]["versions"] == {"7": "END"}


@ours
def test_health_tells_life_from_readiness(http):
    assert http.get("/healthz/live").status_code == 200
    reply = http.get("/healthz/ready")
    assert reply.status_code == 503
    assert reply.json() == {
        "ready": False,
        "models": {
            MODEL: {"124": "AVAILABLE", "123": "AVAILABLE"},
            "texts": {"1": "AVAILABLE"},
            TF1_MODEL: {"123": "AVAILABLE"},
            TF1_MODEL_WITH_AN_ASSET: {"123": "AVAILABLE"},
            "broken": {"7": "END"},
        },
    }
