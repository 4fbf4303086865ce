"""Warmup requests: TensorFlow Serving replays them before a version becomes available."""

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow_serving.apis import prediction_log_pb2

from bert_serving import contract
from bert_serving.errors import DataError
from bert_serving.io.files import whole_file

# Short and long texts, alone and together: the first call of a shape takes longest.
_TEXTS = (
    "Where is my order?",
    "It arrived yesterday, but the box was open and a part is missing. What shall I do?",
    "word " * 200,
)
_BATCH_SIZES = (1, 8, 32)

# saved_model_warmup_util.cc of TensorFlow Serving.
MOST_RECORDS = 1000
_MOST_KEPT = 10_000
_LOG_TYPES = ("predict_log", "classify_log", "regress_log", "multi_inference_log")


def write_warmup(folder: Path, *, model_name: str, pairs: bool) -> None:
    """Writes `assets.extra/tf_serving_warmup_requests`, a TFRecord file of PredictionLog, for `serving_default` and `classify`."""
    with tf.io.TFRecordWriter(str(folder / contract.WARMUP_FILE)) as writer:
        for size in _BATCH_SIZES:
            texts = [_TEXTS[i % len(_TEXTS)] for i in range(size)] if size > 1 else [_TEXTS[0]]
            writer.write(_predict_log(model_name, texts, pairs=pairs).SerializeToString())
        writer.write(_classify_log(model_name, _TEXTS[0], pairs=pairs).SerializeToString())


def warmup_from_logs(logs: Sequence[Path], target: Path, *, records: int = 100, model: str | None = None) -> int:
    """Writes a warmup file with requests of a request log, short and long ones, and returns their number.

    Args:
        logs: TFRecord files of PredictionLog; one that is cut off, as by a full disk, is read up to there.
        target: file to write; one of that name is replaced once the new one is complete.
        records: maximum number of requests.
        model: take only requests for this model.

    Raises:
        DataError: a log cannot be read, there is no request in them, or the file cannot be written.
    """
    requests = _requests(logs, model)
    if not requests:
        of = f" for model {model}" if model else ""
        raise DataError(f"{', '.join(map(str, logs))}: no request{of} to warm up with")
    ordered = sorted(requests, key=lambda log: (len(log), log))
    count = min(records, len(ordered))
    # From the shortest to the longest in even steps: the first call of each length takes longest.
    chosen = [ordered[round(step * (len(ordered) - 1) / max(count - 1, 1))] for step in range(count)]
    _write_records(target, chosen)
    return count


def _requests(logs: Sequence[Path], model: str | None) -> list[bytes]:
    """Distinct requests of the logs, without responses; a uniform sample (reservoir sampling) when there are very many."""
    kept: list[bytes] = []
    known: set[bytes] = set()
    chance = random.Random(0)
    for log in _read_logs(logs):
        kind = log.WhichOneof("log_type")
        if kind not in _LOG_TYPES or (model is not None and _model_name(log) != model):
            continue
        lean = prediction_log_pb2.PredictionLog()
        getattr(lean, kind).request.CopyFrom(getattr(log, kind).request)
        record = lean.SerializeToString(deterministic=True)
        if record in known:
            continue
        known.add(record)
        slot = chance.randrange(len(known))
        if len(kept) < _MOST_KEPT:
            kept.append(record)
        elif slot < _MOST_KEPT:
            kept[slot] = record
    return kept


def _read_logs(logs: Sequence[Path]) -> Iterator[prediction_log_pb2.PredictionLog]:
    for path in logs:
        count = 0
        try:
            for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
                yield prediction_log_pb2.PredictionLog.FromString(record)
                count += 1
        except (tf.errors.DataLossError, DecodeError):
            if not count:
                raise DataError(
                    f"{path}: not a TFRecord file of PredictionLog; give files that --request_log wrote"
                ) from None
        except tf.errors.OpError as error:
            raise DataError(f"{path}: cannot read it: {error.message.rpartition('; ')[2]}") from None


def _model_name(log: prediction_log_pb2.PredictionLog) -> str:
    if log.log_metadata.model_spec.name:
        return str(log.log_metadata.model_spec.name)
    kind = log.WhichOneof("log_type")
    request = getattr(log, kind).request
    if kind == "multi_inference_log":
        return str(request.tasks[0].model_spec.name) if request.tasks else ""
    return str(request.model_spec.name)


def _write_records(target: Path, records: Sequence[bytes]) -> None:
    try:
        target.parent.mkdir(exist_ok=True)
        with whole_file(target) as temporary, tf.io.TFRecordWriter(str(temporary)) as writer:
            for record in records:
                writer.write(record)
    except (OSError, tf.errors.OpError) as error:
        reason = error.strerror if isinstance(error, OSError) else error.message
        raise DataError(f"{target}: cannot write it: {reason}") from None


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
