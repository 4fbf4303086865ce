"""Draw the pictures of chapter 2 of "Natural Language Processing with Transformers" from a run, and set its figures beside the book's.

    bert-serving train export/emotion.toml --set data.folder=/path/to/emotion
    python export/emotion_chapter.py runs/emotion [FOLDER]

Writes PNG files, among them the figures side by side, and a list of the rows with the highest and lowest loss to FOLDER (default:
RUN_DIR/chapter) and prints the table of figures. Features, their map and the logistic regression come from the encoder as it was before
the run fine-tuned it. Any run with one label for each row will do; the book's figures are those of the emotion data.
"""

import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from bert_serving.classifier import Classifier
from bert_serving.console import ConsoleObserver, console, show_table
from bert_serving.contract import Head, Pooling
from bert_serving.data.splits import Splits, load_splits
from bert_serving.encoders.loading import load_encoder
from bert_serving.encoders.lookup import find_encoder_folder
from bert_serving.errors import BertServingError, InputError, exit_status
from bert_serving.evaluation.predictions import Predictions
from bert_serving.features.frozen import FrozenEncoder, classify_features, features_of, majority_of
from bert_serving.features.projection import densities, project
from bert_serving.io.table_lines import TableFormat
from bert_serving.metrics import measure
from bert_serving.observer import Observer
from bert_serving.plots import data as data_plots
from bert_serving.plots import results as result_plots
from bert_serving.plots import style
from bert_serving.training.loading import load_classifier
from bert_serving.training.run_folder import RunFolder

# Lewis Tunstall, Leandro von Werra and Thomas Wolf, 2022, chapter 2; all measured on the validation rows.
BOOK = {"majority": 0.352, "logistic regression on frozen features": 0.633, "fine-tuned": 0.9225}
# The book takes DistilBERT's [CLS]. An encoder of sentence embeddings was trained for the mean of its tokens.
POOLING = Pooling.MEAN
LISTED_ROWS = 10


def draw_data(splits: Splits, classifier: Classifier, folder: Path) -> None:
    """How many rows each label has, and how long its texts are."""
    labels = classifier.options.labels
    counts = {name: {label: table.labels.count(label) for label in labels} for name, table in splits.named().items()}
    data_plots.draw_class_distribution(counts, folder / "class_distribution.png")
    _, lengths = classifier.tokenize(splits.train.texts, splits.train.pairs)
    found = {label: lengths[np.asarray(splits.train.labels) == label] for label in labels}
    data_plots.draw_lengths_per_label(found, classifier.options.sequence_length, folder / "token_lengths.png")


def predict_from_features(
    splits: Splits, frozen: FrozenEncoder, labels: tuple[str, ...], folder: Path, observer: Observer
) -> dict[str, dict[str, Predictions]]:
    """Draws where each label lies, and gives the answers of logistic regression and of the commonest label by split."""
    features = {name: features_of(frozen, table, POOLING, observer) for name, table in splits.named().items()}
    points = project(features["train"], observer=observer).points
    places = np.asarray([labels.index(label) for label in splits.train.labels])
    grids = dict(zip(labels, densities(points, places, len(labels)), strict=True))
    result_plots.draw_densities(grids, folder / "feature_density.png")
    train = features["train"], splits.train
    measured = {name: (features[name], table) for name, table in splits.named().items() if name != "train"}
    with observer.stage("Logistic regression"):
        regression = {name: classify_features(train, each, labels) for name, each in measured.items()}
    majority = {name: majority_of(splits.train, table, labels) for name, (_, table) in measured.items()}
    return {"majority": majority, "logistic regression on frozen features": regression}


def write_losses(predictions: Predictions, path: Path) -> None:
    """The rows with the highest and the lowest loss, as the book lists them."""
    order = np.argsort(-predictions.losses, kind="stable")
    lines = [TableFormat.TSV.header(("loss", "label", "answer", "text"))]
    for row in [*order[:LISTED_ROWS], *order[::-1][:LISTED_ROWS]]:
        labels = {"label": predictions.true_label(row), "answer": predictions.predicted_label(row)}
        values = {"loss": f"{predictions.losses[row]:.4f}", **labels, "text": predictions.table.texts[row]}
        lines.append(TableFormat.TSV.line(values))
    path.write_text("".join(lines), "utf-8")


def main(arguments: list[str]) -> int:
    """Draws the plots of the chapter for a run and prints the scores beside the book's."""
    if not 1 <= len(arguments) <= 2:
        print("usage: python export/emotion_chapter.py RUN_DIR [FOLDER]", file=sys.stderr)
        return 2
    run = RunFolder(Path(arguments[0]))
    config = run.config()
    if config.head.kind not in (Head.SOFTMAX, Head.BINARY):
        raise InputError(
            f"{run.path}: a {config.head.kind} head has no chapter; give a run with one label for each row"
        )
    folder = Path(arguments[1]) if len(arguments) > 1 else run.path / "chapter"
    observer = ConsoleObserver()
    with observer.stage("Loading the run"):
        splits = load_splits(config.data, config.head.kind, config.training.seed)
        classifier = load_classifier(run)
        start = find_encoder_folder(config.encoder, passed_over=observer.note, progress=observer.download)
        length = classifier.options.sequence_length
        frozen = FrozenEncoder(start.name, start.sha256, load_encoder(start), classifier.preprocessing, length)
    labels = classifier.options.labels
    folder.mkdir(parents=True, exist_ok=True)
    draw_data(splits, classifier, folder)
    found = predict_from_features(splits, frozen, labels, folder, observer)
    with observer.stage("Predicting with the fine-tuned model"):
        tables = {name: table for name, table in splits.named().items() if name != "train"}
        found["fine-tuned"] = {
            name: Predictions(Head.SOFTMAX, labels, table, classifier.predict(table.texts, table.pairs))
            for name, table in tables.items()
        }
    scores = {
        model: {name: measure(Head.SOFTMAX, labels, each.y_true, each.values) for name, each in splits_.items()}
        for model, splits_ in found.items()
    }
    for model in ("logistic regression on frozen features", "fine-tuned"):
        name = model.split(" ")[0].replace("-", "_")
        result_plots.draw_confusion_matrix(scores[model]["validation"], folder / f"confusion_matrix_{name}.png")
    write_losses(found["fine-tuned"]["validation"], folder / "rows_by_loss.tsv")
    draw_figures(scores, folder / "accuracy.png")
    show_figures(scores)
    console.print(f"\n  pictures and rows by loss: {folder}", soft_wrap=True, markup=False)
    return 0


def draw_figures(scores: dict[str, dict[str, dict]], path: Path) -> None:
    """Accuracy here beside the book's, a group of bars for each model."""
    found, (axis,) = style.new_figure(7.2, 3.6, grid="x")
    bars = {"the book, validation": [BOOK[model] for model in scores]}
    for name in next(iter(scores.values())):
        bars[f"here, {name}"] = [splits[name]["accuracy"] for splits in scores.values()]
    height = 0.8 / len(bars)
    places = np.arange(len(scores))
    colors = ("#8C8C8C", style.ORANGE, style.GREEN)
    for number, ((name, values), color) in enumerate(zip(bars.items(), colors, strict=False)):
        drawn = axis.barh(
            places + (number - (len(bars) - 1) / 2) * height, values, height * 0.9, color=color, label=name
        )
        axis.bar_label(drawn, [f"{value:.4g}" for value in values], padding=3, fontsize=8, color=style.QUIET)
    axis.set_yticks(places, [model.replace(" on ", "\non ") for model in scores])
    axis.invert_yaxis()
    axis.set(xlim=(0, 1.05), xlabel="accuracy")
    style.set_title(axis, "Accuracy in the book, and here")
    style.add_legend(axis, below=True, columns=len(bars))
    style.save(found, path)


def show_figures(scores: dict[str, dict[str, dict]]) -> None:
    """Prints accuracy and F1 beside the book's."""
    rows = [
        [
            model,
            f"{BOOK[model]:.4g}",
            *(f"{splits[name][score]:.4f}" for name in splits for score in ("accuracy", "weighted_f1")),
        ]
        for model, splits in scores.items()
    ]
    measured = next(iter(scores.values()))
    columns = ("model", "the book", *(f"{name} {score}" for name in measured for score in ("accuracy", "weighted F1")))
    show_table("Accuracy on the validation rows in the book, and here", columns, rows)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except BertServingError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(exit_status(error))
