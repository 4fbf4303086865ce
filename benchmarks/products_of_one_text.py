"""Matrix products of one text in TensorFlow and in ONNX Runtime, alone: what no graph of these products can undercut.

    python benchmarks/products_of_one_text.py --torch-python PYTHON_WITH_ONNX [--tokens 20 48 300] [--threads 1 2] \\
        [--export models/emotion/1]

The products of all-MiniLM-L6-v2: six layers of queries, keys and values in one (384 to 1,152), attention output (384 to
384), intermediate (384 to 1,536) and output (1,536 to 384), each with its bias and weights of its own (42 MB), in a row,
with nothing between them. TensorFlow runs them as one function, with weights that are variables (as in an export) and
constants. An export is timed beside them: its whole answer to one text of as many word pieces, in a session, as
TensorFlow Serving runs it. Candidates take turns, each in a process of its own. `--torch-python` is an interpreter with
onnx and onnxruntime.
"""

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path

LAYERS = 6
WIDTH = 384
SHAPES = ((WIDTH, 3 * WIDTH), (WIDTH, WIDTH), (WIDTH, 4 * WIDTH), (4 * WIDTH, WIDTH))
ENGINES = ("TensorFlow, variables", "TensorFlow, constants", "ONNX Runtime")
CALLS = 40


def main() -> None:
    parser = argparse.ArgumentParser(description="Matrix products of one text.")
    parser.add_argument("--torch-python", default=sys.executable, help="interpreter with onnx and onnxruntime")
    parser.add_argument("--tokens", type=int, nargs="+", default=[20, 48, 300])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--export", action="append", default=[], help="version folder to time, too", dest="exports")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--worker", nargs=3, metavar=("ENGINE", "TOKENS", "THREADS"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        engine, tokens, threads = arguments.worker
        _work(engine, int(tokens), int(threads))
        return
    print("milliseconds of all products, medians")
    for tokens, threads in product(arguments.tokens, arguments.threads):
        engines = (*ENGINES, *arguments.exports)
        times = _in_turns(engines, tokens, threads, arguments.rounds, arguments.torch_python)
        shown = "  ".join(f"{engine} {statistics.median(values):.2f}" for engine, values in times.items())
        print(f"{tokens:>4} tokens, {threads} threads:  {shown}", flush=True)


def _in_turns(
    engines: tuple[str, ...], tokens: int, threads: int, rounds: int, torch_python: str
) -> dict[str, list[float]]:
    workers = {}
    for engine in engines:
        python = torch_python if engine == "ONNX Runtime" else sys.executable
        command = [python, __file__, "--worker", engine, str(tokens), str(threads)]
        workers[engine] = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    times: dict[str, list[float]] = {engine: [] for engine in engines}
    for _ in range(rounds):
        for engine, worker in workers.items():
            assert worker.stdin is not None
            assert worker.stdout is not None
            print("go", file=worker.stdin, flush=True)
            times[engine].append(float(worker.stdout.readline()))
            time.sleep(0.3)
    for worker in workers.values():
        worker.communicate()
    return times


def _work(engine: str, tokens: int, threads: int) -> None:
    makers = {"ONNX Runtime": lambda: _onnx(tokens, threads)}
    if engine not in ENGINES:
        makers[engine] = lambda: _export(engine, tokens, threads)
    run = makers.get(engine, lambda: _tensorflow(engine, tokens, threads))()
    for _ in range(CALLS):
        run()
    for _ in sys.stdin:
        taken = []
        for _ in range(CALLS):
            start = time.perf_counter()
            run()
            taken.append(time.perf_counter() - start)
        print(1000 * statistics.median(taken), flush=True)


def _tensorflow(engine: str, tokens: int, threads: int) -> Callable[[], object]:
    import os

    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    make = tf.Variable if engine.endswith("variables") else tf.constant
    weights = [make(tf.random.normal(shape, stddev=0.02)) for shape in SHAPES * LAYERS]
    biases = [make(tf.zeros(shape[1])) for shape in SHAPES * LAYERS]

    @tf.function(autograph=False)
    def products(values: tf.Tensor) -> tf.Tensor:
        for weight, bias in zip(weights, biases, strict=True):
            # The next product takes its width of the columns: a slice of the queries, keys and values.
            values = tf.nn.bias_add(tf.matmul(values[:, : weight.shape[0]], weight), bias)
        return values

    function = products.get_concrete_function(tf.TensorSpec([None, WIDTH]))
    values = tf.random.normal([tokens, WIDTH])
    return lambda: function(values).numpy()


def _export(folder: str, tokens: int, threads: int) -> Callable[[], object]:
    import os

    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import tensorflow as tf
    import tensorflow_text  # noqa: F401  registers operations

    settings = tf.compat.v1.ConfigProto(intra_op_parallelism_threads=threads, inter_op_parallelism_threads=2)
    session = tf.compat.v1.Session(graph=tf.Graph(), config=settings)
    with session.graph.as_default():
        signature = tf.compat.v1.saved_model.loader.load(session, ["serve"], folder).signature_def["serving_default"]
    answer = session.make_callable(
        [output.name for output in signature.outputs.values()], feed_list=[signature.inputs["text"].name]
    )
    # With [CLS] and [SEP].
    text = ["good " * (tokens - 2)]
    return lambda: answer(text)


def _onnx(tokens: int, threads: int) -> Callable[[], object]:
    import numpy as np
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    random, nodes, initializers, name = np.random.default_rng(0), [], [], "input"
    for index, shape in enumerate(SHAPES * LAYERS):
        initializers += [
            numpy_helper.from_array(random.normal(size=shape, scale=0.02).astype(np.float32), f"w{index}"),
            numpy_helper.from_array(np.zeros(shape[1], np.float32), f"b{index}"),
        ]
        if index % len(SHAPES) == 1:
            bounds = zip(("start", "end", "axis"), (0, WIDTH, 1), strict=True)
            initializers += [numpy_helper.from_array(np.array([value]), f"{key}{index}") for key, value in bounds]
            inputs = [name, f"start{index}", f"end{index}", f"axis{index}"]
            nodes.append(helper.make_node("Slice", inputs, [f"s{index}"]))
            name = f"s{index}"
        nodes.append(helper.make_node("Gemm", [name, f"w{index}", f"b{index}"], [f"y{index}"]))
        name = f"y{index}"
    given = helper.make_tensor_value_info("input", TensorProto.FLOAT, [None, WIDTH])
    answer = helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, WIDTH])
    model = helper.make_model(
        helper.make_graph(nodes, "products", [given], [answer], initializers),
        opset_imports=[helper.make_opsetid("", 17)],
    )
    model.ir_version = 9
    onnx.checker.check_model(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    values = random.normal(size=(tokens, WIDTH)).astype(np.float32)
    return lambda: session.run(None, {"input": values})


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    main()
