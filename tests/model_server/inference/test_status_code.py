"""Status and message of errors: what TensorFlow adds about its graph stays out."""

import grpc
import httpx
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from bert_serving.model_server.config.batching import BatchingParameters
from bert_serving.model_server.config.options import ModelConfig, ServerOptions
from bert_serving.model_server.inference.status_code import status_of
from bert_serving.model_server.server import ServerThread

PYTHON = (
    "Graph execution error:\n\nDetected at node A/b_1 defined at (most recent call last):\n<stack traces unavailable>\n"
)


@pytest.mark.parametrize(
    ("message", "plain"),
    [
        (
            f"{PYTHON}indices[3] = 9 is not in [0, 5)\n\t [[{{{{node A/b_1}}}}]] [Op:__inference_f_12]",
            "indices[3] = 9 is not in [0, 5)",
        ),
        (f"{PYTHON}assertion failed: [rows have 33]\n\t [[{{{{node A}}}}]]", "rows have 33"),
        ("assertion failed: [x must be] [0 1]\n\t [[{{function_node f}}{{node A}}]]", "x must be 0 1"),
        (
            f"{PYTHON}2 root error(s) found.\n  (0) INVALID_ARGUMENT:  first\n\t [[{{{{node A}}}}]]\n\t [[B/_7]]\n"
            "  (1) INVALID_ARGUMENT:  second\n\t [[{{node A}}]]\n0 successful operations.",
            "first",
        ),
        (
            'Detected at node A defined at (most recent call last):\n  File "a.py", line 1, in f\n    x\n\nbad shape',
            "bad shape",
        ),
        (
            "{{function_node __wrapped__Reshape_device_/CPU:0}} 2 values, shape has 3 [Op:Reshape]",
            "2 values, shape has 3",
        ),
        (
            "Could not parse example input, value: '[[x]] [[{{y}}]]'",
            "Could not parse example input, value: '[[x]] [[{{y}}]]'",
        ),
        ("one\ntwo", "one two"),
        ("", ""),
    ],
)
def test_only_what_the_operation_says_is_answered(message, plain):
    status = status_of(tf.errors.InvalidArgumentError(None, None, message))
    assert (status.code, status.message) == ("INVALID_ARGUMENT", plain)


@pytest.fixture(scope="module", params=[None, BatchingParameters()], ids=["", "batched"])
def server(request, exported):
    with ServerThread(ServerOptions(models=[ModelConfig("tiny", exported.parent)], batching=request.param)) as running:
        yield running


TOO_LONG = {"input_word_ids": [[5] * 33], "input_mask": [[1] * 33], "input_type_ids": [[0] * 33]}
ANSWER = "rows have 33 tokens, the encoder takes 1 to 32"


def test_grpc_answers_the_check_of_the_graph_alone(server):
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = "tiny", "tokens"
    for name, value in TOO_LONG.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(np.array(value, np.int32)))
    with grpc.insecure_channel(server.grpc_address) as channel, pytest.raises(grpc.RpcError) as refused:
        prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request, timeout=60)
    assert (refused.value.code(), refused.value.details()) == (grpc.StatusCode.INVALID_ARGUMENT, ANSWER)


@pytest.mark.parametrize(
    ("path", "body", "answer"),
    [
        ("predict", {"signature_name": "tokens", "inputs": TOO_LONG}, ANSWER),
        (
            "predict",
            {
                "signature_name": "classify",
                "inputs": [{"b64": "//4="}],
            },  # no UTF-8, of which TensorFlow makes no exception
            "Could not parse example input, value: '\ufffd\ufffd'",
        ),
        (
            "classify",
            {"signature_name": "classify", "examples": [{"text": ["a", "b"]}]},
            "example 0 has 2 values of the feature text, expected 1",
        ),
        (
            "classify",
            {"signature_name": "classify", "examples": [{"text": 3}]},
            "Name: <unknown>, Key: text, Index: 0. Data types don't match. Expected type: string, Actual type: int64",
        ),
    ],
)
def test_rest_answers_the_check_of_the_graph_alone(server, path, body, answer):
    reply = httpx.post(f"{server.rest_url}/v1/models/tiny:{path}", json=body, timeout=60)
    assert (reply.status_code, reply.json()) == (400, {"error": answer})
