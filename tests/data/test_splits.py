from collections import Counter

import numpy as np
import pytest

from bert_serving.config import DataConfig
from bert_serving.contract import Head
from bert_serving.data.splits import (
    Splits,
    check_labels,
    label_array,
    label_names,
    load_measured,
    load_splits,
    load_validation,
    resolve_labels,
)
from bert_serving.data.table import LabeledTable
from bert_serving.errors import DataError


def write(path, labels):
    path.write_text("text\tlabel\n" + "".join(f"text {n}\t{label}\n" for n, label in enumerate(labels)), "utf-8")
    return path


def table(labels, name="train") -> LabeledTable:
    return LabeledTable([f"{name} {number}" for number in range(len(labels))], None, list(labels), f"{name}.tsv")


def load(tmp_path, labels, head=Head.SOFTMAX, seed=0, **keys) -> Splits:
    return load_splits(DataConfig(train=write(tmp_path / "train.tsv", labels), **keys), head, seed)


def test_files_are_read_for_each_split(tmp_path):
    files = {name: write(tmp_path / f"{name}.tsv", "ab" * rows) for name, rows in (("validation", 3), ("test", 5))}
    splits = load(tmp_path, "ab" * 20, **files)
    assert {name: len(rows) for name, rows in splits.named().items()} == {"train": 40, "validation": 6, "test": 10}


def test_one_split_alone_is_that_of_all_and_needs_no_other_file(tmp_path):
    write(tmp_path / "train.tsv", "ab" * 20)
    taken = DataConfig(train=tmp_path / "train.tsv", test=tmp_path / "gone.tsv")
    assert (
        load_validation(taken, Head.SOFTMAX, 3)
        == load_splits(taken.model_copy(update={"test": ()}), Head.SOFTMAX, 3).validation
    )
    given = DataConfig(train="gone.tsv", validation=write(tmp_path / "validation.tsv", "ab"))
    assert load_measured(given, Head.SOFTMAX, 3) == ("validation", load_validation(given, Head.SOFTMAX, 3))
    given = given.model_copy(update={"test": (write(tmp_path / "test.tsv", "aab"),)})
    name, rows = load_measured(given, Head.SOFTMAX, 3, ["label"])
    assert (name, rows.labels, rows.columns) == ("test", ["a", "a", "b"], {"label": ["a", "a", "b"]})


def test_paths_are_relative_to_the_data_folder(tmp_path):
    write(tmp_path / "train.tsv", "ab" * 20)
    splits = load_splits(DataConfig(folder=tmp_path, train="train.tsv"), Head.SOFTMAX, 0)
    assert len(splits.train) + len(splits.validation) == 40
    assert list(splits.named()) == ["train", "validation"]


def test_validation_rows_are_a_stratified_share_of_train(tmp_path):
    splits = load(tmp_path, "a" * 80 + "b" * 20, validation_fraction=0.2)
    assert Counter(splits.validation.labels) == {"a": 16, "b": 4}
    assert Counter(splits.train.labels) == {"a": 64, "b": 16}
    assert not set(splits.train.texts) & set(splits.validation.texts)


def test_the_seed_alone_decides_which_rows_are_taken(tmp_path):
    first, again, other = (load(tmp_path, "ab" * 50, seed=seed).validation.texts for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_a_label_with_a_single_row_stays_in_train(tmp_path):
    for seed in range(5):
        splits = load(tmp_path, ["a"] * 10 + ["b"] * 10 + ["rare"], seed=seed, validation_fraction=0.5)
        assert "rare" in splits.train.labels
        assert len(splits.validation) == 10


def test_many_labels_with_few_rows_all_stay_in_train(tmp_path):
    labels = [f"label{number}" for number in range(30)] * 2
    for seed in range(5):
        splits = load(tmp_path, labels, seed=seed, validation_fraction=0.3)
        assert len(splits.validation) == 18
        assert set(splits.train.labels) == set(labels)


@pytest.mark.parametrize("rows", [6, 7, 50, 100, 998])
def test_rows_limits_the_training_rows_and_keeps_every_label(tmp_path, rows):
    labels = ["a"] * 900 + ["b"] * 95 + ["c", "d", "e", "f", "f"]
    splits = load(tmp_path, labels, max_train_rows=rows, validation=write(tmp_path / "validation.tsv", "ab"))
    assert len(splits.train) == rows
    assert set(splits.train.labels) == set(labels)
    assert len(set(splits.train.texts)) == rows


def test_rows_keeps_the_shares_of_the_labels(tmp_path):
    splits = load(
        tmp_path, "a" * 300 + "b" * 100, max_train_rows=40, validation=write(tmp_path / "validation.tsv", "ab")
    )
    assert Counter(splits.train.labels) == {"a": 30, "b": 10}


def test_rows_does_not_change_the_validation_rows(tmp_path):
    whole, part = load(tmp_path, "ab" * 50), load(tmp_path, "ab" * 50, max_train_rows=10)
    assert part.validation == whole.validation
    assert len(part.train) == 10
    assert set(part.train.texts) < set(whole.train.texts)


def test_more_rows_than_there_are_takes_all(tmp_path):
    assert len(load(tmp_path, "ab" * 5, max_train_rows=1000).train) == 8


def test_fewer_rows_than_labels_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"data\.max_train_rows is 2, fewer than the 3 labels"):
        load(tmp_path, "abc" * 10, max_train_rows=2)


@pytest.mark.parametrize(("most", "counts"), [(1, (1, 1, 1)), (3, (3, 2, 1)), (50, (40, 2, 1))])
def test_at_most_so_many_rows_of_each_label_are_drawn(tmp_path, most, counts):
    validation = write(tmp_path / "validation.tsv", "abc")
    splits = load(tmp_path, "a" * 40 + "bb" + "c", max_rows_per_label=most, validation=validation)
    assert Counter(splits.train.labels) == dict(zip("abc", counts, strict=True))
    assert len(set(splits.train.texts)) == sum(counts)


def test_the_seed_decides_which_rows_of_a_label_are_drawn(tmp_path):
    validation = write(tmp_path / "validation.tsv", "ab")
    drawn = [
        tuple(load(tmp_path, "ab" * 50, seed=seed, max_rows_per_label=4, validation=validation).train.texts)
        for seed in (0, 0, 1)
    ]
    assert drawn[0] == drawn[1]
    assert set(drawn[0]) != set(drawn[2])


def test_rows_of_several_labels_count_for_each_of_them(tmp_path):
    labels = ["a", "a,b", "b", "", "a,rare"] * 10 + ["scarce,a"]
    validation = write(tmp_path / "validation.tsv", ["a"])
    splits = load(tmp_path, labels, Head.MULTILABEL, max_rows_per_label=4, validation=validation)
    counts = Counter(name for row in splits.train.labels for name in row or ("none",))
    assert set(counts) == {"a", "b", "rare", "scarce", "none"}
    assert max(counts.values()) <= 4


def test_few_rows_of_each_label_do_not_change_the_validation_rows(tmp_path):
    whole, part = load(tmp_path, "ab" * 50), load(tmp_path, "ab" * 50, max_rows_per_label=8)
    assert part.validation == whole.validation
    assert Counter(part.train.labels) == {"a": 8, "b": 8}


@pytest.mark.parametrize("classes", [2, 6, 20])
@pytest.mark.parametrize("rows", [2, 8])
def test_of_few_rows_of_each_label_a_fifth_is_taken_for_validation(tmp_path, classes, rows):
    splits = load(tmp_path, [f"label {number}" for number in range(classes)] * rows)
    assert len(set(splits.train.labels)) == classes
    assert len(splits.validation) == max(1, round(classes * rows / 5))


def test_regression_rows_are_divided_too(tmp_path):
    splits = load(tmp_path, [f"{number / 7:.3f}" for number in range(50)], Head.REGRESSION, max_train_rows=7)
    assert (len(splits.train), len(splits.validation)) == (7, 10)


def test_every_label_of_a_multilabel_table_stays_in_train(tmp_path):
    labels = ["a,b", "b", "", "a"] * 10 + ["rare,a", "scarce"]
    for seed in range(8):
        splits = load(tmp_path, labels, Head.MULTILABEL, seed=seed, validation_fraction=0.4)
        assert {name for names in splits.train.labels for name in names} == {"a", "b", "rare", "scarce"}
        assert len(splits.train) + len(splits.validation) == 42


def test_too_few_rows_to_divide_are_refused(tmp_path):
    with pytest.raises(DataError, match="too few to take validation rows from; name files"):
        load(tmp_path, ["a", "b"])


# === Labels ===


def resolve(train, validation=None, test=None, head=Head.SOFTMAX, labels=None):
    splits = Splits(table(train), table(validation or train, "validation"), table(test, "test") if test else None)
    return resolve_labels(splits, DataConfig(train="train.tsv", labels=labels), head)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (["b", "a", "B"], ("B", "a", "b")),
        (["10", "9", "-1"], ("-1", "9", "10")),
        (["10", "9", "x"], ("10", "9", "x")),
        (["1.5", "10", "9"], ("1.5", "10", "9")),
    ],
)
def test_labels_are_sorted_as_numbers_where_all_are_integers(found, expected):
    assert resolve(found) == expected


def test_given_labels_keep_their_order_and_may_lack_rows():
    assert resolve(["a", "b"], labels=("b", "c", "a")) == ("b", "c", "a")


def test_a_regression_head_has_no_labels():
    assert resolve([1.0, 2.0], head=Head.REGRESSION) == ()


def test_multilabel_labels_are_those_of_all_rows():
    assert resolve([("b", "a"), (), ("c",)], head=Head.MULTILABEL) == ("a", "b", "c")


def marked(names, labels=None, columns=("b", "a", "c")):
    rows = LabeledTable(["x"] * len(names), None, list(names), "train.csv", label_columns=columns)
    return resolve_labels(
        Splits(rows, rows), DataConfig(train="train.csv", label=columns, labels=labels), Head.MULTILABEL
    )


def test_columns_of_marks_are_labels_in_their_own_order_even_without_rows():
    assert marked([("a",), ("a", "b")]) == ("b", "a", "c")
    assert marked([("a",)], labels=("c", "b", "a")) == ("c", "b", "a")


@pytest.mark.parametrize("labels", [("a", "b"), ("a", "b", "c", "d"), ("a", "b", "x")])
def test_given_labels_must_be_the_columns_of_marks(labels):
    with pytest.raises(DataError, match=r"data\.labels: .* must name the columns of data\.label: 'b', 'a', 'c'"):
        marked([("a",)], labels=labels)


def test_a_column_that_is_named_twice_is_refused():
    with pytest.raises(DataError, match=r"data\.label names a label more than once: 'a'"):
        marked([("a",)], columns=("a", "a"))


def test_given_labels_of_other_types_are_named_as_the_data():
    assert resolve(["1", "0"], labels=("1.0", 0)) == ("1", "0")
    assert resolve(["true", "false"], labels=(True, "False")) == ("true", "false")


def test_what_was_left_out_is_told_once_for_train(tmp_path):
    path = tmp_path / "train.csv"
    path.write_text("text;label\n\n" + "".join(f"text {n};{n % 2}\n" for n in range(20)), "utf-8")
    splits = load_splits(DataConfig(train=path, max_train_rows=10), Head.SOFTMAX, 0)
    assert splits.train.reading.lines() == [
        "train.csv: cells are separated by a semicolon, not by a comma",
        "left out: 1 blank line",
    ]
    assert splits.validation.reading.lines() == []


def test_a_model_of_an_earlier_version_may_name_whole_numbers_with_a_point():
    np.testing.assert_array_equal(label_array(["1", "0", "true"], ("0.0", "1.0", "True"), Head.SOFTMAX), [1, 0, 2])


def test_columns_of_marks_must_cover_the_labels_of_a_model():
    rows = LabeledTable(["x"], None, [("a",)], "rows.csv", label_columns=("a", "b"))
    check_labels(rows, ("b", "a"), Head.MULTILABEL)
    with pytest.raises(DataError, match=r"rows\.csv: data\.label .* no column for the model's label.*'c'"):
        check_labels(rows, ("a", "b", "c"), Head.MULTILABEL)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"train": ["a", "a"]}, "train holds 1 label.*'a'.*softmax head needs more.*'label' of train.tsv"),
        ({"train": ["a", "a"], "labels": ("a", "b")}, "train holds 1 label"),
        ({"train": [(), ()], "head": Head.MULTILABEL}, "train holds 0 label"),
        (
            {"train": ["a", "b", "c"], "head": Head.BINARY},
            "exactly 2 labels, there are 3: 'a', 'b', 'c'; set head.kind",
        ),
        ({"train": ["a", "b"], "labels": ("a", "b", "a")}, "names a label more than once: 'a'"),
        ({"train": ["a", "b"], "labels": ("a", "c")}, r"train has labels that data\.labels lacks: 'b' \(1 row\)"),
        ({"train": ["a", "b"], "test": ["a", "z", "z"]}, r"test has labels that train lacks: 'z' \(2 rows\)"),
        (
            {"train": ["a", "b"], "validation": ["x"], "test": ["y"]},
            r"validation has .*'x' \(1 row\); test has .*'y' \(1 row\)",
        ),
        (
            {"train": ["a", "b"], "test": [*"stuvwxyz", "z"]},
            r"lacks: 'z' \(2 rows\), 's' \(1 row\), 't' \(1 row\), 'u' \(1 row\), 'v' \(1 row\) and 3 more;",
        ),
        ({"train": [("a",), ("b",)], "test": [("a", "z")], "head": Head.MULTILABEL}, r"'z' \(1 row\)"),
    ],
)
def test_labels_that_cannot_be_learnt_are_refused_by_name(arguments, message):
    with pytest.raises(DataError, match=message) as caught:
        resolve(**arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("label", "expected"), [("a", ("a",)), (("a", "b"), ("a", "b")), ((), ()), (0.5, ())])
def test_label_names_lists_the_names_in_one_label(label, expected):
    assert label_names(label) == expected


@pytest.mark.parametrize(
    ("head", "labels", "expected"),
    [
        (Head.SOFTMAX, ["c", "a"], [2, 0]),
        (Head.BINARY, ["a", "b"], [0, 1]),
        (Head.MULTILABEL, [("a", "c"), ()], [[1, 0, 1], [0, 0, 0]]),
        (Head.REGRESSION, [0.5, 2.0], [0.5, 2.0]),
    ],
)
def test_label_array_turns_labels_into_numbers(head, labels, expected):
    found = label_array(labels, ("a", "b", "c"), head)
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == (np.float64 if head is Head.REGRESSION else np.int64)


def test_label_array_names_a_label_that_the_model_lacks():
    with pytest.raises(DataError, match="the label 'z' is not among the model's: 'a', 'b'"):
        label_array(["a", "z"], ("a", "b"), Head.SOFTMAX)
