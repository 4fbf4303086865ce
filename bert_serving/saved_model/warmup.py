"""Warmup requests: TensorFlow Serving replays them before a version becomes available."""

from pathlib import Path

import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from bert_serving import contract

# Short and long, alone and together: each first call of a shape costs most.
_TEXTS = (
    "Where is my order?",
    "It arrived yesterday, but the box was open and a part is missing. What shall I do?",
    "word " * 200,
)
_BATCH_SIZES = (1, 8, 32)


def write_warmup(folder: Path, *, model_name: str, pairs: bool) -> None:
    """Writes `assets.extra/tf_serving_warmup_requests`, a TFRecord file of PredictionLog, for `serving_default` and `classify`."""
    with tf.io.TFRecordWriter(str(folder / contract.WARMUP_FILE)) as writer:
        for size in _BATCH_SIZES:
            texts = [_TEXTS[i % len(_TEXTS)] for i in range(size)] if size > 1 else [_TEXTS[0]]
            writer.write(_predict_log(model_name, texts, pairs=pairs).SerializeToString())
        writer.write(_classify_log(model_name, _TEXTS[0], pairs=pairs).SerializeToString())


def _predict_log(model_name: str, texts: list[str], *, pairs: bool) -> prediction_log_pb2.PredictionLog:
    log = prediction_log_pb2.PredictionLog()
    request = log.predict_log.request
    request.model_spec.name = model_name
    request.model_spec.signature_name = contract.SERVING_DEFAULT
    for name in (contract.TEXT, contract.TEXT_PAIR) if pairs else (contract.TEXT,):
        request.inputs[name].CopyFrom(tf.make_tensor_proto(texts, tf.string, [len(texts)]))
    return log


def _classify_log(model_name: str, text: str, *, pairs: bool) -> prediction_log_pb2.PredictionLog:
    log = prediction_log_pb2.PredictionLog()
    request = log.classify_log.request
    request.model_spec.name = model_name
    request.model_spec.signature_name = contract.CLASSIFY
    example = request.input.example_list.examples.add()
    for name in (contract.TEXT, contract.TEXT_PAIR) if pairs else (contract.TEXT,):
        example.features.feature[name].bytes_list.value.append(text.encode())
    return log
