"""Workers of serving_graphs.py, one process each: load an engine, run texts, report its size.

serving_graph_workers.py prepare RUN_DIR FOLDER COMPARED  SavedModels, texts, and their agreement
serving_graph_workers.py export-onnx MODEL FOLDER         ONNX files, optimized and quantized
serving_graph_workers.py serve SUBJECT FOLDER [MODEL]     runs jobs from standard input
serving_graph_workers.py peak                             matrix products by format, GFLOP/s
"""

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

THREADS = 2
ROUND_BATCHES = 24
# The others are compared on a tenth of the texts: padded to 512 tokens, 2,000 take minutes.
COMPARED_ON_ALL = ("padded", "ragged", "ragged int8")
Answer = Callable[[list[str]], Any]


def main() -> None:
    command, *rest = sys.argv[1:]
    match command:
        case "prepare":
            prepare(Path(rest[0]), Path(rest[1]), int(rest[2]))
        case "export-onnx":
            export_onnx(Path(rest[0]), Path(rest[1]))
        case "serve":
            serve(rest[0], Path(rest[1]), Path(rest[2]) if len(rest) > 2 else None)
        case "peak":
            print(json.dumps(peak()))


# === Protocol ===


def serve(subject: str, folder: Path, model: Path | None) -> None:
    """Runs jobs: `BATCH CALLS ROUND` returns the seconds of each call, `memory` the peak of this process in MiB."""
    settings = json.loads((folder / "settings.json").read_text("utf-8"))
    texts = json.loads((folder / "texts.json").read_text("utf-8"))
    started = time.perf_counter()
    answer, files = _engine(subject, folder, model, settings)
    answer(texts[:1])
    loaded = time.perf_counter() - started
    size = sum(path.stat().st_size for path in ([files] if files.is_file() else files.rglob("*")) if path.is_file())
    print(json.dumps({"load": loaded, "folder": size / 2**20}), flush=True)
    for line in sys.stdin:
        if line.strip() == "memory":
            print(json.dumps({"memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}), flush=True)
            continue
        batch, calls, number = map(int, line.split())
        # All candidates get the same texts in a round, faster ones more of them; the next round has other texts.
        start = number * batch * ROUND_BATCHES
        batches = [
            [texts[place % len(texts)] for place in range(first, first + batch)]
            for first in range(start, start + batch * calls, batch)
        ]
        # The first call is not counted: it wakes up the threads and raises the processor's clock.
        answer(batches[0])
        seconds = []
        for each in batches:
            before = time.perf_counter()
            answer(each)
            seconds.append(time.perf_counter() - before)
        print(json.dumps({"calls": seconds}), flush=True)


def _engine(subject: str, folder: Path, model: Path | None, settings: dict[str, int]) -> tuple[Answer, Path]:
    if subject.startswith("ONNX"):
        file = folder / ("model.int8.onnx" if subject.endswith("int8") else "model.onnx")
        return onnx_runtime(file, model, settings), file
    if subject.startswith("PyTorch"):
        return pytorch(model, settings, bfloat16=subject.endswith("bfloat16")), model / "model.safetensors"
    if subject == "KerasHub":
        return keras_hub(model, settings), model / "model.safetensors"
    return saved_model(folder / subject), folder / subject


# === Engines ===


def saved_model(folder: Path) -> Answer:
    import tensorflow as tf
    import tensorflow_text  # noqa: F401

    tf.config.threading.set_intra_op_parallelism_threads(THREADS)
    tf.config.threading.set_inter_op_parallelism_threads(THREADS)
    loaded = tf.saved_model.load(str(folder))
    predict = loaded.signatures["serving_default"]
    # Keeps the loaded object alive as long as its signature.
    predict.owner = loaded
    return lambda texts: predict(text=tf.constant(texts))["probabilities"].numpy()


def onnx_runtime(file: Path, model: Path, settings: dict[str, int]) -> Answer:
    import numpy as np
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    tokenizer = _tokenizer(model, settings)

    def answer(texts: list[str]):
        rows = tokenizer.encode_batch(texts)
        inputs = {
            "input_ids": np.array([row.ids for row in rows], np.int64),
            "attention_mask": np.array([row.attention_mask for row in rows], np.int64),
            "token_type_ids": np.array([row.type_ids for row in rows], np.int64),
        }
        logits = session.run(None, inputs)[0]
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)

    return answer


def pytorch(model: Path, settings: dict[str, int], *, bfloat16: bool) -> Answer:
    import torch
    from transformers import AutoModelForSequenceClassification

    torch.set_num_threads(THREADS)
    network = AutoModelForSequenceClassification.from_pretrained(model, num_labels=settings["labels"]).eval()
    network = network.to(torch.bfloat16) if bfloat16 else network
    tokenizer = _tokenizer(model, settings)

    @torch.inference_mode()
    def answer(texts: list[str]):
        rows = tokenizer.encode_batch(texts)
        logits = network(
            input_ids=torch.tensor([row.ids for row in rows]),
            attention_mask=torch.tensor([row.attention_mask for row in rows]),
            token_type_ids=torch.tensor([row.type_ids for row in rows]),
        ).logits
        return logits.float().softmax(dim=1).numpy()

    return answer


def keras_hub(model: Path, settings: dict[str, int]) -> Answer:
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import keras_hub
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(THREADS)
    tf.config.threading.set_inter_op_parallelism_threads(THREADS)
    classifier = keras_hub.models.BertTextClassifier.from_preset(
        str(model), num_classes=settings["labels"], activation="softmax"
    )
    classifier.preprocessor.sequence_length = settings["sequence_length"]
    return lambda texts: classifier.predict(texts, batch_size=len(texts), verbose=0)


def _tokenizer(model: Path, settings: dict[str, int]):
    """Hugging Face's fast tokenizer, padding to the batch's longest text."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    tokenizer.enable_truncation(settings["sequence_length"])
    tokenizer.enable_padding()
    return tokenizer


# === Preparation ===


def prepare(run_folder: Path, folder: Path, compared: int) -> None:
    """Writes the five SavedModels of a run without verification, its validation texts, and the differences of their predictions."""
    import numpy as np
    import tensorflow as tf

    from bert_serving.contract import Graph, Precision
    from bert_serving.data.splits import load_validation
    from bert_serving.saved_model.graphs.calibration import arithmetic_of
    from bert_serving.saved_model.reader import ExportedModel
    from bert_serving.saved_model.reference import Reference
    from bert_serving.saved_model.signatures import build_serving_graph
    from bert_serving.training.loading import load_classifier
    from bert_serving.training.run_folder import RunFolder

    run = RunFolder(run_folder)
    config = run.config()
    classifier = load_classifier(run)
    table = load_validation(config.data, config.head.kind, config.training.seed)
    # Files are often sorted by label.
    texts = [table.texts[row] for row in np.random.default_rng(0).permutation(len(table))]
    settings = {"labels": len(classifier.options.labels), "sequence_length": classifier.options.sequence_length}
    (folder / "settings.json").write_text(json.dumps(settings), "utf-8")
    (folder / "texts.json").write_text(json.dumps(texts), "utf-8")
    labels = folder / "labels.txt"
    labels.write_text("".join(f"{label}\n" for label in classifier.options.labels), "utf-8")
    wanted = {
        "padded": (Graph.PADDED, Precision.FLOAT32),
        "trimmed": (Graph.TRIMMED, Precision.FLOAT32),
        "ragged": (Graph.RAGGED, Precision.FLOAT32),
        "ragged bfloat16": (Graph.RAGGED, Precision.BFLOAT16),
        "ragged int8": (Graph.RAGGED, Precision.INT8),
    }
    # As in an export; the values of the predictions are not needed.
    reference = Reference(tuple(texts), None, np.zeros((len(texts), 1)))
    answers = {}
    for name, (graph, precision) in wanted.items():
        built = build_serving_graph(classifier, graph, labels, arithmetic_of(precision, classifier, reference))
        tf.saved_model.save(built.module, str(folder / name), signatures=built.signatures)
        rows = compared if name in COMPARED_ON_ALL else compared // 10
        if rows:
            answers[name] = ExportedModel(folder / name).predict(texts[:rows])
    same = {name: _difference(found, answers["padded"][: len(found)]) for name, found in answers.items()}
    (folder / "same_answers.json").write_text(json.dumps(same), "utf-8")


def _difference(found: Any, expected: Any) -> dict[str, float]:
    differences = abs(found - expected)
    return {
        "texts": len(found),
        "largest": float(differences.max()),
        "mean": float(differences.mean()),
        "other_labels": int((found.argmax(axis=1) != expected.argmax(axis=1)).sum()),
    }


def export_onnx(model: Path, folder: Path) -> None:
    """The usual way: torch.onnx.export, onnxruntime's optimizer for BERT, dynamic quantization to int8."""
    import torch
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.transformers import optimizer
    from transformers import AutoModelForSequenceClassification

    settings = json.loads((folder / "settings.json").read_text("utf-8"))
    network = AutoModelForSequenceClassification.from_pretrained(
        model, num_labels=settings["labels"], attn_implementation="eager"
    ).eval()
    names = ("input_ids", "attention_mask", "token_type_ids")
    sample = tuple(torch.ones(2, 8, dtype=torch.int64) for _ in names)
    raw, optimized = folder / "raw.onnx", folder / "model.onnx"
    torch.onnx.export(
        network,
        sample,
        str(raw),
        input_names=list(names),
        output_names=["logits"],
        dynamic_axes={name: {0: "rows", 1: "tokens"} for name in names} | {"logits": {0: "rows"}},
        opset_version=17,
        dynamo=False,
    )
    size = network.config
    fused = optimizer.optimize_model(
        str(raw), model_type="bert", num_heads=size.num_attention_heads, hidden_size=size.hidden_size
    )
    fused.save_model_to_file(str(optimized))
    quantize_dynamic(
        str(optimized),
        str(folder / "model.int8.onnx"),
        weight_type=QuantType.QInt8,
        # 1 is float32 in ONNX's numbering; the optimizer's own operations have no type inference.
        extra_options={"DefaultTensorType": 1},
    )


def peak() -> dict[str, float]:
    """GFLOP/s of matrix products of 2,048 x 2,048 in TensorFlow."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(THREADS)
    size, found = 2048, {}
    for dtype in (tf.float32, tf.bfloat16):
        one = tf.cast(tf.random.normal([size, size]), dtype)
        product = tf.function(lambda x: tf.matmul(x, x))
        product(one)
        seconds = []
        for _ in range(10):
            before = time.perf_counter()
            product(one).numpy()
            seconds.append(time.perf_counter() - before)
        found[dtype.name] = round(2 * size**3 / min(seconds) / 1e9)
    return found


if __name__ == "__main__":
    main()
