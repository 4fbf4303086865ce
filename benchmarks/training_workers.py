"""Training speed of one and of two worker processes, one core each, at the same global batch.

    python benchmarks/training_workers.py --data data/emotion/train.tsv --model models/all-MiniLM-L6-v2 \\
        [--rounds 7] [--rows 512] [--batch-size 32] [--cores 0,1]

`--model` is a Hugging Face folder. Each process is tied to one core by `taskset`, the two workers to
different ones; they are connected over loopback. Candidates take turns: a round is one epoch's first
batches, forward, backward, sum over the workers and update. Writes benchmarks/results/training_workers.json.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import interleaved
from training_speed import LEARNING_RATE, LENGTH, read

ONE, TWO = "one process, one core", "two processes, one core each"
BATCHES = 8


def main() -> None:
    parser = argparse.ArgumentParser(description="Training speed of one and of two workers, in turns.")
    parser.add_argument("--data", type=Path, required=True, help="TSV file with the columns text and label")
    parser.add_argument("--model", type=Path, required=True, help="Hugging Face folder of a BERT model")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--rows", type=int, default=512, help="training rows")
    parser.add_argument("--batch-size", type=int, default=32, help="rows of a step, of all workers together")
    parser.add_argument("--cores", default="0,1", help="numbers of two cores")
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--addresses", default="", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker is not None:
        interleaved.work(lambda: prepare(arguments))
        return
    addresses = ",".join(f"127.0.0.1:{port}" for port in free_ports(2))
    subjects = [
        interleaved.Subject(ONE, command(arguments, 0, "")),
        interleaved.Subject(TWO, command(arguments, 0, addresses)),
    ]
    result = interleaved.run(subjects, rounds=arguments.rounds)
    rates = result["rates"]
    ratios = sorted(two / one for one, two in zip(rates[ONE], rates[TWO], strict=True))
    result["ratio"] = result["medians"][TWO] / result["medians"][ONE]
    result["ratios_of_rounds"] = ratios
    result["settings"] = {"rows": arguments.rows, "batch_size": arguments.batch_size, "batches_of_a_round": BATCHES}
    result["machine"] = interleaved.machine()
    target = Path(__file__).parent / "results" / "training_workers.json"
    target.write_text(json.dumps(result, indent=2) + "\n", "utf-8")
    for name, rate in result["medians"].items():
        print(f"{name:<32} {rate:8.1f} texts/s")
    print(f"two are {result['ratio']:.2f} times as fast (rounds: {ratios[0]:.2f} to {ratios[-1]:.2f})")


def command(arguments: argparse.Namespace, worker: int, addresses: str) -> list[str]:
    """Starts a worker, tied to its core."""
    core = arguments.cores.split(",")[worker]
    words = ["taskset", "-c", core, sys.executable, __file__, "--worker", str(worker), "--addresses", addresses]
    for name in ("data", "model", "rows", "batch_size"):
        words += [f"--{name.replace('_', '-')}", str(getattr(arguments, name))]
    return [*words, "--cores", arguments.cores]


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody listens at."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def prepare(arguments: argparse.Namespace):
    """The training step as `bert-serving train` makes it, of one process or of one of two."""
    addresses = [each for each in arguments.addresses.split(",") if each]
    other = None
    if addresses and arguments.worker == 0:
        # Worker 0 has the other one as its child, and passes each "go" on to it.
        other = subprocess.Popen(
            command(arguments, 1, arguments.addresses), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
        )
    task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": arguments.worker}}
    os.environ["TF_CONFIG"] = json.dumps(task)
    do_steps = prepare_steps(arguments, len(addresses) or 1)

    def do_round() -> int:
        if other is not None:
            other.stdin.write("go\n")
            other.stdin.flush()
        return do_steps()

    return do_round


def prepare_steps(arguments: argparse.Namespace, workers: int):
    """Trains the first batches of an epoch with each call."""
    import tf_keras

    from bert_serving.classifier import ClassifierOptions, build_classifier, loss_of, targets_of
    from bert_serving.config import EncoderConfig, TrainingConfig
    from bert_serving.contract import Head
    from bert_serving.data.batches import BatchPlan, Slices, epoch_dataset
    from bert_serving.encoders.loading import load_encoder
    from bert_serving.encoders.lookup import find_encoder_folder
    from bert_serving.text.preprocessing import load_preprocessing
    from bert_serving.training.learning_model import plan_learning
    from bert_serving.training.optimizer import create_optimizer, plan_schedule
    from bert_serving.training.shared_step import shared_train_step
    from bert_serving.training.strategy import create_strategy

    texts, values = (column[: arguments.rows] for column in read(arguments.data))
    labels = tuple(sorted(set(values)))
    config = TrainingConfig(
        batch_size=arguments.batch_size,
        learning_rate=LEARNING_RATE,
        strategy="multi_worker" if workers > 1 else "one_device",
    )
    strategy = create_strategy(config)
    folder = find_encoder_folder(EncoderConfig(path=arguments.model))
    tf_keras.utils.set_random_seed(0)
    targets = targets_of(Head.SOFTMAX, labels, values)
    with strategy.scope():
        options = ClassifierOptions(labels, sequence_length=LENGTH)
        classifier = build_classifier(load_encoder(folder), load_preprocessing(folder.preprocessing), options)
        rows, _ = classifier.tokenize(texts)
        learning = plan_learning(classifier, rows, config)
        model = learning.trained.token_model
        accuracy = tf_keras.metrics.SparseCategoricalAccuracy("accuracy")
        schedule = plan_schedule(config, steps_per_epoch=len(texts) // config.batch_size, width=384, trainable=True)
        model.compile(create_optimizer(schedule, config), loss_of(Head.SOFTMAX), weighted_metrics=[accuracy])
        mean_loss = tf_keras.metrics.Mean("loss")
    slices = None
    if workers > 1:
        slices = Slices(arguments.worker, 1, workers)
        model.train_step = shared_train_step(model, Head.SOFTMAX, mean_loss)
        model.distribute_reduction_method = "first"
    plan, epochs = BatchPlan(config.batch_size), iter(range(1, 1000))

    def do_steps() -> int:
        epoch = next(epochs)
        dataset = epoch_dataset(learning.rows(rows), targets, None, plan, epoch, slices).take(BATCHES)
        if slices is not None:
            whole = dataset.repeat()
            dataset = strategy.distribute_datasets_from_function(lambda _: whole)
        with learning.training():
            model.fit(dataset, steps_per_epoch=BATCHES, verbose=0)
        return sum(map(len, plan.order(rows.lengths, epoch)[:BATCHES]))

    return do_steps


if __name__ == "__main__":
    main()
