"""A table with a column of 0 and 1 for each label, from training to the evaluation of the export."""

import csv
import json

import numpy as np
import pytest

import bert_serving as bs
from bert_serving.config import load_run_file
from bert_serving.model.model import open_model
from bert_serving.saved_model.export import export_run
from bert_serving.saved_model.options import ExportOptions
from bert_serving.training.run import train

COLUMNS = ("wheel", "good", "bad")


@pytest.fixture(scope="module")
def table(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("data") / "toxic.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "comment", *COLUMNS])
        writer.writerows(
            [number, text, *(int(name in text) for name in COLUMNS)] for number, (text, _) in enumerate(rows)
        )
    return path


@pytest.fixture(scope="module")
def marked(table, encoder_folder):
    """A finished run on the table."""
    run_file = table.with_name("run.toml")
    lines = ["[data]", f'train = "{table.name}"', 'text = "comment"', f"label = {json.dumps(COLUMNS)}"]
    lines += ["[encoder]", f'path = "{encoder_folder}"', "sequence_length = 16", "[head]", 'kind = "multilabel"']
    lines += ["[training]", "epochs = 1", "batch_size = 4", "learning_rate = 0.02"]
    run_file.write_text("\n".join(lines), "utf-8")
    return train(load_run_file(run_file), table.with_name("run"))


def test_the_labels_of_a_run_are_the_columns_in_their_order(marked, table):
    assert marked.classifier.options.labels == COLUMNS
    assert marked.run.config().data.label == COLUMNS
    with table.open() as file:
        rows = list(csv.DictReader(file))
    counts = {name: sum(int(row[name]) for row in rows) for name in COLUMNS}
    tables = marked.splits.named().values()
    assert counts == {name: sum(name in label for split in tables for label in split.labels) for name in COLUMNS}


@pytest.mark.slow
def test_scores_of_the_run_and_of_its_export_are_those_of_the_columns(marked, table, bert_serving, tmp_path):
    exported = export_run(marked.run, ExportOptions(tmp_path / "models", "m"), classifier=marked.classifier)
    with table.open() as file:
        rows = list(csv.DictReader(file))
    true = np.array([[int(row[name]) for name in COLUMNS] for row in rows])
    predicted = open_model(str(exported)).predict([row["comment"] for row in rows], None) >= 0.5
    expected = (true == predicted).all(axis=1).mean()
    for model, columns in ((marked.run.path, "wheel,good,bad"), (exported, "bad, wheel, good")):
        ended = bert_serving("evaluate", model, "--data", table, "--text", "comment", "--label", columns, "--json")
        metrics = json.loads(ended.out)
        assert ended.err == ""
        assert metrics["accuracy"] == pytest.approx(expected)
        assert [metrics["per_class"][name]["support"] for name in COLUMNS] == true.sum(axis=0).tolist()


def test_a_column_that_is_not_named_is_not_taken_for_absence(marked, table, bert_serving):
    status, out, err = bert_serving(
        "evaluate", marked.run.path, "--data", table, "--text", "comment", "--label", "good,bad"
    )
    assert status == 2
    assert "names no column for the model's label(s): 'wheel'" in err
    assert "accuracy" not in out


def test_a_run_in_python_knows_the_columns_of_its_data(marked, table):
    scores = bs.load(marked.run.path).evaluate(table)
    assert scores["accuracy"] == bs.load(marked.run.path).evaluate(table, text="comment", label=COLUMNS)["accuracy"]
