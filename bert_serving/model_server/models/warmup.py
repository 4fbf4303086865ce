"""Warmup requests in a version folder: a TFRecord file of PredictionLog."""

from collections.abc import Iterator
from pathlib import Path

import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow_serving.apis import prediction_log_pb2

from bert_serving import contract
from bert_serving.errors import InvalidRequest, Unimplemented
from bert_serving.model_server.inference.examples import prepare_classify, prepare_multi_inference, prepare_regress
from bert_serving.model_server.inference.predict import prepare_predict
from bert_serving.model_server.inference.servable import Servable
from bert_serving.saved_model.warmup import MOST_RECORDS


def replay_warmup(servable: Servable, version_folder: Path, *, iterations: int = 1) -> int:
    """Replays the warmup requests of a version in order and returns their number.

    The model name and version in the requests are ignored. A version with a failing request must
    not be served. Zero iterations mean one, as in TensorFlow Serving.

    Raises:
        RequestError, tf.errors.OpError: a record is malformed, or the version refused it.
    """
    path = version_folder / contract.WARMUP_FILE
    if not path.is_file():
        return 0
    count = 0
    for log in _read_logs(path):
        count += 1
        if count > MOST_RECORDS:
            raise InvalidRequest(f"Number of warmup records exceeds the maximum ({MOST_RECORDS}) at {path}")
        for _ in range(max(1, iterations)):
            _replay(servable, log)
    return count


def _read_logs(path: Path) -> Iterator[prediction_log_pb2.PredictionLog]:
    try:
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            yield prediction_log_pb2.PredictionLog.FromString(record)
    except DecodeError:
        raise InvalidRequest(f"Failed to parse warmup record: {path}") from None
    except tf.errors.DataLossError as error:
        text = f"{error.message}. Please verify your warmup data is in TFRecord format: {path}"
        raise tf.errors.DataLossError(None, None, text) from None


def _replay(servable: Servable, log: prediction_log_pb2.PredictionLog) -> None:
    match log.WhichOneof("log_type"):
        case "predict_log":
            prepare_predict(servable, log.predict_log.request).run()
        case "classify_log":
            prepare_classify(servable, log.classify_log.request).run()
        case "regress_log":
            prepare_regress(servable, log.regress_log.request).run()
        case "multi_inference_log":
            for inference in prepare_multi_inference(servable, log.multi_inference_log.request):
                inference.run()
        case kind:
            raise Unimplemented(f"Unsupported log_type for warmup: {kind}")
