"""The rows of a feature map: a run's own, or those of files."""

from pathlib import Path

import pytest

from bert_serving.config import load_run_file
from bert_serving.errors import DataError, InputError
from bert_serving.features.rows import map_rows


def test_a_run_is_measured_on_its_test_rows(run_file):
    selected = map_rows("run", load_run_file(run_file), [], [], {}, 3)
    assert (selected.drawn, selected.drawn_name) == (("validation", "test"), "the run's validation and test rows")
    assert selected.measured_name == "the run's test rows"
    assert {name: len(table) for name, table in selected.load().named().items()} == {
        "train": 40,
        "validation": 10,
        "test": 10,
    }


def test_files_are_divided_and_may_be_limited(write_tsv, rows):
    path = write_tsv("rows.tsv", rows, ("words", "label"))
    selected = map_rows("encoder", None, [path], [], {"text": "words", "text_pair": None}, 0)
    assert (selected.drawn_name, selected.measured_name) == ("rows.tsv", "20% of rows.tsv, kept apart")
    assert [len(table) for table in selected.load().named().values()] == [48, 12]
    limited = selected.load(6)
    assert [len(table) for table in limited.named().values()] == [6, 6]
    assert set(limited.train.labels) == {"blame", "praise"}


def test_a_limit_below_the_number_of_labels_is_refused(write_tsv):
    path = write_tsv("rows.tsv", [(f"text {number}", "abc"[number % 3]) for number in range(30)])
    with pytest.raises(DataError, match="max_train_rows is 2, fewer than the 3 labels of train"):
        map_rows("encoder", None, [path], [], {}, 0).load(2)


def test_rows_that_are_not_given_are_told(run_file):
    config = load_run_file(run_file)
    with pytest.raises(InputError, match="mini: an encoder has no rows of its own; give labeled text with --data"):
        map_rows("mini", None, [], [], {}, 0)
    with pytest.raises(InputError, match="--test needs --data"):
        map_rows("run", config, [], [Path("test.tsv")], {}, 0)
    head = config.head.model_copy(update={"kind": "regression"})
    with pytest.raises(InputError, match="run: the run has a regression head; a map needs one label for each row"):
        map_rows("run", config.model_copy(update={"head": head}), [], [], {}, 0)
