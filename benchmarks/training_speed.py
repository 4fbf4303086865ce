"""Training speed: length buckets, the same with frozen layers, padding to 128 tokens, a plain PyTorch loop.

    python benchmarks/training_speed.py --data data/emotion/train.tsv \\
        --model models/all-MiniLM-L6-v2 [--rounds 7] [--frozen-layers 3] [--without-torch]

`--model` is a Hugging Face folder; all candidates start from its weights, with batches of 32,
AdamW, warmup, dropout and gradients clipped to a norm of 1. The PyTorch loop shuffles, pads each
batch to its longest text, and is tokenized in advance, too. Frozen layers run once, before the
rounds: a line tells how long that took. `--tree before=/path/to/an/older/checkout`, once or more,
adds its length buckets, and the median of each round's ratio to them. Needs torch and transformers (`pip
install 'bert-serving[bench]'`, or another interpreter that has them: --torch-python). Writes
benchmarks/results/training_speed.json.
"""

import argparse
import csv
import json
import statistics
import sys
from pathlib import Path

import interleaved

OURS, PADDED, TORCH = "bert-serving, length buckets", "bert-serving, padded to 128", "PyTorch, dynamic padding"
FROZEN = "bert-serving, frozen layers"
NAMES = (OURS, FROZEN, PADDED, TORCH)
BATCH = 32
LENGTH = 128
BATCHES = {OURS: 30, FROZEN: 30, PADDED: 8, TORCH: 15}
ROWS = 16000
LEARNING_RATE = 1e-4


def main() -> None:
    parser = argparse.ArgumentParser(description="Training speed, in turns.")
    parser.add_argument("--data", type=Path, required=True, help="TSV file with the columns text and label")
    parser.add_argument("--model", type=Path, required=True, help="Hugging Face folder of a BERT model")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--torch-python", default=sys.executable, help="interpreter that has torch and transformers")
    parser.add_argument("--frozen-layers", type=int, default=3, help="of the candidate with frozen layers")
    parser.add_argument("--without-torch", action="store_true", help="leave the PyTorch loop out")
    parser.add_argument("--tree", action="append", default=[], help="NAME=FOLDER of another checkout, compared alone")
    parser.add_argument("--worker", choices=NAMES, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        if arguments.worker == TORCH:
            interleaved.work(lambda: prepare_torch(arguments.data, arguments.model, TORCH))
        else:
            frozen = arguments.frozen_layers if arguments.worker == FROZEN else 0
            interleaved.work(lambda: prepare_ours(arguments.data, arguments.model, arguments.worker, frozen))
        return
    if arguments.tree:
        compare_trees(arguments)
        return
    names = [name for name in NAMES if name != TORCH or not arguments.without_torch]
    subjects = [
        interleaved.Subject(
            name,
            [
                arguments.torch_python if name == TORCH else sys.executable,
                __file__,
                *("--data", str(arguments.data), "--model", str(arguments.model), "--worker", name),
                *("--frozen-layers", str(arguments.frozen_layers)),
            ],
        )
        for name in names
    ]
    result = interleaved.run(subjects, rounds=arguments.rounds)
    medians = result["medians"]
    result["ratios"] = {name: medians[OURS] / medians[name] for name in names if name != OURS}
    result["frozen_layers"] = arguments.frozen_layers
    result["machine"] = interleaved.machine()
    target = Path(__file__).parent / "results" / "training_speed.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(result, indent=2) + "\n", "utf-8")
    for name, rate in medians.items():
        print(f"{name:<32} {rate:8.1f} texts/s   length buckets are {medians[OURS] / rate:.2f} times as fast")


def compare_trees(arguments: argparse.Namespace) -> None:
    """Length buckets of this checkout and of others, each with its own benchmark."""
    trees = {"this checkout": Path(__file__).parent.parent}
    trees |= {name: Path(folder) for name, folder in (tree.split("=", 1) for tree in arguments.tree)}
    place = ["--data", str(arguments.data.resolve()), "--model", str(arguments.model.resolve())]
    subjects = [
        interleaved.Subject(
            name,
            [
                *("env", f"PYTHONPATH={folder.resolve()}", sys.executable),
                *(str(folder / "benchmarks" / "training_speed.py"), *place, "--worker", OURS),
            ],
        )
        for name, folder in trees.items()
    ]
    rates = interleaved.run(subjects, rounds=arguments.rounds)["rates"]
    ours = rates["this checkout"]
    for name, theirs in rates.items():
        ratio = statistics.median(mine / other for mine, other in zip(ours, theirs, strict=True))
        print(
            f"{name:<24} {statistics.median(theirs):8.1f} texts/s   this checkout is {ratio:.2f} times as fast "
            f"(ratio of medians {statistics.median(ours) / statistics.median(theirs):.2f})"
        )


def read(path: Path) -> tuple[list[str], list[str]]:
    """Texts and labels."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))[:ROWS]
    return [row["text"] for row in rows], [row["label"] for row in rows]


def prepare_ours(data: Path, model: Path, name: str, frozen_layers: int):
    """Keras' `fit` as `bert-serving train` calls it."""
    import tempfile
    import time

    import tensorflow as tf
    import tf_keras

    from bert_serving.classifier import ClassifierOptions, build_classifier, loss_of, targets_of
    from bert_serving.config import EncoderConfig, TrainingConfig
    from bert_serving.contract import Head
    from bert_serving.data.batches import BatchPlan, epoch_dataset
    from bert_serving.encoders.loading import load_encoder
    from bert_serving.encoders.lookup import find_encoder_folder
    from bert_serving.observer import Observer
    from bert_serving.text.preprocessing import load_preprocessing
    from bert_serving.training.frozen_layers import freeze, with_layer_outputs
    from bert_serving.training.learning_model import plan_learning
    from bert_serving.training.optimizer import create_optimizer, plan_schedule

    texts, values = read(data)
    labels = tuple(sorted(set(values)))
    folder = find_encoder_folder(EncoderConfig(path=model))
    tf_keras.utils.set_random_seed(0)
    encoder = load_encoder(folder)
    if frozen_layers:
        freeze(encoder, frozen_layers)
    classifier = build_classifier(
        encoder,
        load_preprocessing(folder.preprocessing),
        ClassifierOptions(labels, sequence_length=LENGTH),
    )
    config = TrainingConfig(
        batch_size=BATCH, learning_rate=LEARNING_RATE, padding="fixed" if name == PADDED else "longest"
    )
    plan = BatchPlan(BATCH, length=LENGTH if name == PADDED else None)
    rows, _ = classifier.tokenize(texts)
    if frozen_layers:
        started = time.perf_counter()
        with tempfile.TemporaryDirectory() as place:
            rows = with_layer_outputs(classifier, {"train": rows}, frozen_layers, Path(place), Observer())["train"]
        seconds = time.perf_counter() - started
        print(f"{frozen_layers} frozen layers on {len(texts):,} texts: {seconds:.1f} s", file=sys.stderr)
    targets = targets_of(Head.SOFTMAX, labels, values)
    schedule = plan_schedule(config, steps_per_epoch=len(texts) // BATCH, width=384, trainable=True)
    learning = plan_learning(classifier, rows, config, frozen_layers)
    keras_model = learning.trained.token_model
    accuracy = tf_keras.metrics.SparseCategoricalAccuracy("accuracy")
    keras_model.compile(create_optimizer(schedule, config), loss_of(Head.SOFTMAX), weighted_metrics=[accuracy])
    epochs = iter(range(1, 1000))

    def do_round() -> int:
        # Each round takes the first batches of another epoch: a random sample of all buckets.
        epoch = learning.rows(rows), targets, None, plan, next(epochs)
        dataset: tf.data.Dataset = epoch_dataset(*epoch).take(BATCHES[name])
        with learning.training():
            keras_model.fit(dataset, verbose=0)
        return BATCHES[name] * BATCH

    return do_round


def prepare_torch(data: Path, model: Path, name: str):
    """The loop of PyTorch tutorials: DataLoader, padding collator, AdamW, linear schedule."""
    import torch
    from torch.utils.data import DataLoader
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        get_linear_schedule_with_warmup,
    )

    texts, values = read(data)
    labels = sorted(set(values))
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(model)
    network = AutoModelForSequenceClassification.from_pretrained(model, num_labels=len(labels))
    encoded = tokenizer(texts, truncation=True, max_length=LENGTH)
    examples = [
        {"input_ids": ids, "attention_mask": mask, "token_type_ids": types, "labels": labels.index(value)}
        for ids, mask, types, value in zip(
            encoded["input_ids"], encoded["attention_mask"], encoded["token_type_ids"], values, strict=True
        )
    ]
    loader = DataLoader(examples, batch_size=BATCH, shuffle=True, collate_fn=DataCollatorWithPadding(tokenizer))
    undecayed = ("bias", "LayerNorm.weight")
    groups = [
        {"params": [p for n, p in network.named_parameters() if not n.endswith(undecayed)], "weight_decay": 0.01},
        {"params": [p for n, p in network.named_parameters() if n.endswith(undecayed)], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=LEARNING_RATE)
    steps = 3 * len(loader)
    schedule = get_linear_schedule_with_warmup(optimizer, steps // 10, steps)
    network.train()

    def do_round() -> int:
        batches = iter(loader)
        for _ in range(BATCHES[name]):
            loss = network(**next(batches)).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
        return BATCHES[name] * BATCH

    return do_round


if __name__ == "__main__":
    main()
