"""`bert-serving map`: what it answers and writes."""

import json
import re
import shutil

import numpy as np
import pytest
from support.tiny import write_tsv_file

from bert_serving.config import DataConfig
from bert_serving.contract import Head, Pooling
from bert_serving.data.splits import load_splits
from bert_serving.data.table import LabeledTable
from bert_serving.evaluation.predictions import Predictions
from bert_serving.features import map as feature_map
from bert_serving.features.frozen import classify_features, encode
from bert_serving.features.map import MOST_POINTS, FeatureMap
from bert_serving.features.method import Method
from bert_serving.features.page import MapNames, map_page
from bert_serving.features.projection import Projection
from bert_serving.metrics import measure


@pytest.fixture(scope="module")
def data(rows, tmp_path_factory):
    """All sixty rows in one file."""
    return write_tsv_file(tmp_path_factory.mktemp("map") / "rows.tsv", rows)


def json_of(ended) -> dict:
    assert (ended.status, ended.err) == (0, "")
    return json.loads(ended.out)


# === A run ===


@pytest.mark.slow
def test_a_run_is_measured_on_its_own_rows_with_its_own_pooling(trained, bert_serving):
    found = json_of(bert_serving("map", trained.run.path, "--method", "pca", "--json"))
    assert (found["pooling"], found["method"]) == ("pooler", "pca")
    assert (found["learnt_from"], found["points"], found["measured_on"]) == (40, 20, "the run's test rows")
    features = {
        name: encode(trained.classifier.encoder, trained.classifier.tokenize(table.texts)[0], Pooling.POOLER)
        for name, table in trained.splits.named().items()
    }
    train, test = ((features[name], trained.splits.named()[name]) for name in ("train", "test"))
    expected = classify_features(train, test, ("blame", "praise"))
    metrics = measure(Head.SOFTMAX, expected.labels, expected.y_true, expected.values)
    assert found["metrics"]["logistic regression"]["log_loss"] == pytest.approx(metrics["log_loss"], rel=1e-4)
    assert found["metrics"]["logistic regression"]["per_class"] == metrics["per_class"]
    assert found["metrics"]["majority"]["accuracy"] == pytest.approx(0.5)
    assert found["page"] is None
    assert not (trained.run.path / "map.html").exists()


def test_a_page_and_tables_come_of_a_run(trained, bert_serving, tmp_path):
    run = shutil.copytree(trained.run.path, tmp_path / "a run")
    ended = bert_serving("map", run, "--method", "pca")
    assert (ended.status, ended.err) == (0, "")
    for shown in ("logistic regression", "majority", "Each label", "points: 20 rows by PCA", "map.html"):
        assert shown in ended.out
    page = (run / "map.html").read_text("utf-8")
    assert "the encoder of a run on the run&#39;s validation and test rows: 20 rows" in page
    for table in (trained.splits.validation, trained.splits.test):
        assert all(f'"{text}"' in page for text in table.texts)
    assert not any(
        f'"text":"{text}"' in page for text in set(trained.splits.train.texts) - set(trained.splits.test.texts)
    )


def test_a_run_with_other_data_keeps_its_column_names(trained, rows, bert_serving, write_tsv, tmp_path):
    run = shutil.copytree(trained.run.path, tmp_path / "run")
    content = (run / "run.toml").read_text("utf-8")
    (run / "run.toml").write_text(content.replace('text = "text"', 'text = "words"'), "utf-8")
    assert 'text = "text"' in content
    path = write_tsv("test.tsv", rows[50:], ("words", "label"))
    found = json_of(bert_serving("map", "run", "--data", path, "--method", "pca", "--json"))
    assert (found["points"], found["learnt_from"], found["measured_on"]) == (10, 8, "20% of test.tsv, kept apart")


# === An encoder ===


@pytest.mark.slow
def test_one_file_is_divided_by_label_and_seed(encoder_folder, data, bert_serving):
    arguments = ("map", encoder_folder, "--data", data, "--method", "pca", "--pooling", "cls", "--json")
    found = json_of(bert_serving(*arguments))
    assert (found["encoder"], found["pooling"], found["points"]) == ("tiny", "cls", 60)
    assert (found["learnt_from"], found["measured_on"]) == (48, "20% of rows.tsv, kept apart")
    assert [each["support"] for each in found["metrics"]["majority"]["per_class"].values()] == [6, 6]
    assert 0 < found["explained_variance"] < 1
    assert json_of(bert_serving(*arguments)) == found
    splits = load_splits(DataConfig(train=(data,)), Head.SOFTMAX, 1)
    assert splits.validation.texts != load_splits(DataConfig(train=(data,)), Head.SOFTMAX, 0).validation.texts
    other = json_of(bert_serving(*arguments, "--seed", "1"))
    assert other["metrics"]["logistic regression"]["log_loss"] != found["metrics"]["logistic regression"]["log_loss"]


@pytest.mark.slow
def test_rows_to_measure_on_can_be_named_and_the_number_of_rows_limited(
    encoder_folder,
    run_file,
    bert_serving,
):
    files = {name: run_file.parent / f"{name}.tsv" for name in ("train", "validation", "test")}
    arguments = ("--data", files["train"], "--data", files["validation"], "--test", files["test"], "--method", "pca")
    found = json_of(bert_serving("map", encoder_folder, *arguments, "--json"))
    assert (found["learnt_from"], found["points"], found["measured_on"]) == (50, 60, "test.tsv")
    found = json_of(bert_serving("map", encoder_folder, *arguments, "--rows", "8", "--json"))
    assert (found["learnt_from"], found["points"], found["metrics"]["majority"]["rows"]) == (8, 16, 8)


def test_an_encoder_takes_pairs(encoder_folder, rows, bert_serving, write_tsv):
    pairs = [(text, f"{text} film", label) for text, label in rows]
    path = write_tsv("pairs.tsv", pairs, ("a", "b", "class"))
    columns = ("--text", "a", "--text-pair", "b", "--label", "class")
    found = json_of(
        bert_serving("map", encoder_folder, "--data", path, *columns, "--method", "pca", "--out", "p.html", "--json")
    )
    assert found["page"] == "p.html"
    assert " ‖ " in (path.parent / "p.html").read_text("utf-8")


def test_a_sample_is_drawn_of_many_rows_and_says_so(encoder_folder, rows, bert_serving, monkeypatch, data, tmp_path):
    monkeypatch.setattr(feature_map, "MOST_POINTS", 50)
    ended = bert_serving("map", encoder_folder, "--data", data, "--method", "pca")
    assert "points: 50 of 60 rows by PCA" in ended.out
    page = (tmp_path / "map.html").read_text("utf-8")
    assert "Shown: 50 of 60 rows." in page
    assert len(re.findall(r'"x":[\d.]+,"y":[\d.]+,"label"', page)) == 50


def large_map(text: str, labels: tuple[str, ...]) -> FeatureMap:
    """As many points as a map may have, all of one text; every cell of the confusion matrix has rows."""
    random = np.random.default_rng(0)
    classes = random.integers(0, len(labels), MOST_POINTS)
    table = LabeledTable([text] * MOST_POINTS, None, [labels[number] for number in classes], "here")
    points = Projection(random.random((MOST_POINTS, 2)).astype(np.float32), Method.PCA, 0.5)
    answers = Predictions(Head.SOFTMAX, labels, table, random.random((MOST_POINTS, len(labels))))
    return FeatureMap(table, classes, points, 25_000, 20_000, answers, answers, 768)


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("A long review of a film. " * 60, ("negative", "positive")),
        ("这家外卖很好吃，" * 50, ("negative", "positive")),
        ("<p>&</p>" * 50, tuple(f"a long name for class {number}" for number in range(77))),
    ],
    ids=["reviews", "Chinese", "markup in 77 classes"],
)
def test_a_page_of_16000_long_texts_stays_under_8_mb(text, labels, tmp_path):
    names = MapNames("encoder", "rows.tsv", "20%", Pooling.MEAN)
    path = map_page(large_map(text, labels), names).write(tmp_path / "map.html")
    assert 3e6 < path.stat().st_size < 8e6
    assert "16,000 of 25,000 rows" in path.read_text("utf-8")


def test_short_texts_are_not_cut(tmp_path):
    text = "a text of a hundred and forty characters, " + 98 * "x"
    page = map_page(large_map(text, ("a", "b")), MapNames("e", "d", "m", Pooling.CLS)).render()
    assert page.count(f'"text":"{text}"') == MOST_POINTS


# === Mistakes ===


@pytest.mark.parametrize(
    "wrong",
    [["--method", "tsne"], ["--pooling", "median"], ["--rows", "1"], ["--sequence-length", "x"], ["--nonsense"]],
)
def test_a_wrong_use_ends_with_status_2_and_no_traceback(wrong, encoder_folder, data, bert_serving):
    ended = bert_serving("map", encoder_folder, "--data", data, *wrong)
    assert ended.status == 2
    assert wrong[0] in ended.err
    assert "Traceback" not in ended.out + ended.err


def test_help_names_every_option(bert_serving):
    ended = bert_serving("map", "--help")
    assert (ended.status, ended.err) == (0, "")
    for option in ("--data", "--test", "--pooling", "--method", "--rows", "--seed", "--out", "--json"):
        assert option in ended.out
