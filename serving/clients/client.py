"""Asks a model server over REST and over gRPC, without bert-serving.

python serving/clients/client.py bike_shop "where is my parcel?"           needs httpx
python serving/clients/client.py --grpc bike_shop "where is my parcel?"    needs tensorflow-serving-api
"""

import argparse
import os


def over_rest(model: str, label: str, texts: list[str]) -> list[str]:
    """Labels of texts, over REST."""
    import httpx

    address = os.environ.get("REST_ADDRESS", "http://localhost:8501")
    version = f"/labels/{label}" if label else ""
    body = {"instances": [{"text": text} for text in texts]}
    reply = httpx.post(f"{address}/v1/models/{model}{version}:predict", json=body, timeout=10)
    reply.raise_for_status()
    return [row["label"] for row in reply.json()["predictions"]]


def over_grpc(model: str, label: str, texts: list[str]) -> list[str]:
    """Labels of texts, over gRPC."""
    import grpc
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    if label:
        request.model_spec.version_label = label
    request.inputs["text"].CopyFrom(tf.make_tensor_proto(texts))
    request.output_filter.append("label")
    with grpc.insecure_channel(os.environ.get("GRPC_ADDRESS", "localhost:8500")) as channel:
        answer = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request, timeout=10)
    return [label.decode() for label in answer.outputs["label"].string_val]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("texts", nargs="+")
    parser.add_argument("--label", default="", help="version label, such as stable")
    parser.add_argument("--grpc", action="store_true")
    arguments = parser.parse_args()
    ask = over_grpc if arguments.grpc else over_rest
    print("\n".join(ask(arguments.model, arguments.label, arguments.texts)))
