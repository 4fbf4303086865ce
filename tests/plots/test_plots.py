import threading
import warnings
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.image import imread

from bert_serving.metrics import classification_metrics
from bert_serving.plots.data import draw_class_distribution, draw_token_lengths
from bert_serving.plots.results import draw_confusion_matrix, draw_predictions, draw_reliability
from bert_serving.plots.style import abridged, wrapped
from bert_serving.plots.training import draw_history

AWKWARD = ["costs $5 or $6 {x_$", "天气很好", "طقس جميل", "two\nlines\x00", "a_very_long_label_" * 6, "", "🙂"]


@pytest.fixture(autouse=True)
def _no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def predictions(classes: int, rows: int = 300, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    y_true = random.integers(0, classes, rows)
    scores = random.normal(size=(rows, classes))
    scores[np.arange(rows), y_true] += 3
    exponentials = np.exp(scores)
    return y_true, exponentials / exponentials.sum(axis=1, keepdims=True)


def looked_at(path: Path, least_width: int = 500) -> np.ndarray:
    """The pixels of a picture that is one: big enough, not blank, and with nothing cut off at its edges."""
    assert path.read_bytes().startswith(b"\x89PNG")
    pixels = imread(path)[:, :, :3]
    height, width, _ = pixels.shape
    assert width >= least_width
    assert height >= 150
    assert pixels.std() > 0.01
    for edge in (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]):
        assert (edge == 1).all(), "something touches the edge"
    return pixels


def history(epochs: int) -> list[dict]:
    return [
        {"epoch": epoch, "loss": 1 / epoch, "accuracy": 1 - 0.5 / epoch, "val_loss": 1.1 / epoch, "val_accuracy": 0.8}
        for epoch in range(1, epochs + 1)
    ]


@pytest.mark.parametrize(
    "rows",
    [
        history(3),
        history(1),
        history(80),
        [{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": float("nan")}],
        [{"epoch": 1, "loss": 0.5, "val_loss": 0.6, "val_spearman": 0.7}],
    ],
    ids=["three epochs", "one epoch", "many epochs", "diverged", "validation metric only"],
)
def test_history_is_drawn(tmp_path, rows):
    draw_history(rows, tmp_path / "history.png")
    looked_at(tmp_path / "history.png")


def test_a_history_without_epochs_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no epochs"):
        draw_history([], tmp_path / "history.png")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("classes", [2, 7, 20, 77])
def test_a_confusion_matrix_is_drawn_for_few_and_many_labels(tmp_path, classes):
    y_true, probabilities = predictions(classes)
    metrics = classification_metrics([f"label_number_{index}" for index in range(classes)], y_true, probabilities)
    draw_confusion_matrix(metrics, tmp_path / "confusion.png")
    looked_at(tmp_path / "confusion.png")


def test_a_label_that_is_absent_from_the_truth_has_an_empty_row(tmp_path):
    y_true, probabilities = predictions(3)
    metrics = classification_metrics("abc", np.minimum(y_true, 1), probabilities)
    assert metrics["per_class"]["c"]["support"] == 0
    draw_confusion_matrix(metrics, tmp_path / "confusion.png")
    looked_at(tmp_path / "confusion.png")


def test_labels_of_any_script_length_and_sign_are_drawn(tmp_path):
    y_true, probabilities = predictions(len(AWKWARD))
    draw_confusion_matrix(classification_metrics(AWKWARD, y_true, probabilities), tmp_path / "confusion.png")
    draw_class_distribution({"train": dict.fromkeys(AWKWARD, 5)}, tmp_path / "classes.png")
    draw_predictions(AWKWARD, AWKWARD, probabilities, tmp_path / "predictions.png")
    for picture in tmp_path.iterdir():
        looked_at(picture)


@pytest.mark.parametrize("classes", [2, 25, 77])
def test_a_class_distribution_is_drawn(tmp_path, classes):
    counts = {
        split: {f"label {index}": (index + 1) * rows for index in range(classes)}
        for split, rows in (("train", 90), ("validation", 10), ("test", 0))
    }
    draw_class_distribution(counts, tmp_path / "classes.png")
    looked_at(tmp_path / "classes.png")


def test_a_distribution_without_labels_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no labels"):
        draw_class_distribution({"train": {}}, tmp_path / "classes.png")


@pytest.mark.parametrize("sequence_length", [8, 128, 512])
def test_token_lengths_are_drawn_with_the_cut(tmp_path, sequence_length):
    random = np.random.default_rng(0)
    lengths = {"train": random.lognormal(4, 0.7, 3000).astype(int) + 2, "test": np.array([3, 3, 3])}
    draw_token_lengths(lengths, sequence_length, tmp_path / "lengths.png")
    pixels = looked_at(tmp_path / "lengths.png")
    line = (np.abs(pixels - matplotlib.colors.to_rgb("#D55E00")) < 0.02).all(axis=2)
    assert line.any(axis=1).sum() > 100


@pytest.mark.parametrize("classes", [2, 77])
def test_a_reliability_diagram_is_drawn(tmp_path, classes):
    draw_reliability(*predictions(classes), tmp_path / "reliability.png")
    looked_at(tmp_path / "reliability.png")


@pytest.mark.parametrize("texts", [1, 2, 3, 8, 12])
def test_predictions_are_drawn_for_up_to_eight_texts(tmp_path, texts):
    _, probabilities = predictions(77, texts)
    labels = [f"label_number_{index}" for index in range(77)]
    draw_predictions(["i feel rather well today " * 8] * texts, labels, probabilities, tmp_path / "predictions.png")
    height = looked_at(tmp_path / "predictions.png").shape[0]
    draw_predictions(["short"] * 8, labels, np.resize(probabilities, (8, 77)), tmp_path / "eight.png")
    assert height <= looked_at(tmp_path / "eight.png").shape[0]


def test_no_texts_are_refused(tmp_path):
    with pytest.raises(ValueError, match="no texts"):
        draw_predictions([], "ab", np.zeros((0, 2)), tmp_path / "predictions.png")


def test_drawing_leaves_matplotlibs_settings_alone_and_makes_the_folder(tmp_path):
    before = dict(matplotlib.rcParams)
    draw_reliability(*predictions(3), tmp_path / "new" / "folder" / "reliability.png")
    assert dict(matplotlib.rcParams) == before
    looked_at(tmp_path / "new" / "folder" / "reliability.png")


def test_a_thread_other_than_the_main_one_may_draw(tmp_path):
    thread = threading.Thread(target=draw_history, args=(history(2), tmp_path / "history.png"))
    thread.start()
    thread.join()
    looked_at(tmp_path / "history.png")


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("short", "short"),
        ("balance_not_updated_after_bank_transfer", "balance_n…_transfer"),
        ("$5", r"\$5"),
        ("a\nb\tc\x00", "a b c"),
        ("天气很好天气很好天气很好", "天气很好天…天气很好"),
    ],
)
def test_long_labels_lose_their_middle(label, expected):
    assert abridged(label, 19) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("one two three", ["one two", "three"]),
        ("one two three four five six", ["one two", "three…"]),
        ("天气很好天气很好", ["天气很好", "天气很好"]),
        ("abcdefghijklmnopqrstuvwxyz", ["abcdefgh", "ijklmno…"]),
        ("", []),
    ],
)
def test_texts_are_broken_between_words_where_there_are_any(text, expected):
    assert wrapped(text, 8, lines=2) == expected
