import json
from collections import Counter

import numpy as np
import pytest
from support.paths import SHARED

from bert_serving.config import DataConfig
from bert_serving.contract import Head
from bert_serving.data.audit import Audit, audit
from bert_serving.data.splits import Splits, load_splits, resolve_labels
from bert_serving.data.table import LabeledTable

EMOTION = SHARED / "data" / "emotion"


def table(rows, pairs=None) -> LabeledTable:
    return LabeledTable([text for text, _ in rows], pairs, [label for _, label in rows], "a.tsv")


def lengths(splits: Splits) -> dict[str, np.ndarray]:
    return {name: np.array([len(text.split()) + 2 for text in rows.texts]) for name, rows in splits.named().items()}


def look(train, validation=(("v", "a"),), test=None, labels=("a", "b"), sequence_length=128) -> Audit:
    splits = Splits(table(train), table(validation), table(test) if test else None)
    return audit(splits, labels, lengths(splits), sequence_length)


@pytest.fixture
def flawed() -> Audit:
    train = [("same", "a"), ("same", "b"), ("twice", "b"), ("twice", "b"), ("", "a"), ("one two three four", "b")]
    validation = [("same", "a"), ("new", "a"), (" ", "b")]
    test = [("twice", "b"), ("twice", "b"), ("new", "a"), ("other", "a")]
    return look(train, validation, test, sequence_length=5)


def test_rows_and_classes_are_counted(flawed):
    assert {name: split.rows for name, split in flawed.splits.items()} == {"train": 6, "validation": 3, "test": 4}
    assert flawed.splits["train"].rows_per_class == {"a": 2, "b": 4}
    assert flawed.splits["train"].label_range == {}


def test_what_was_left_out_is_a_line_of_the_table_and_repairs_are_warnings():
    train, validation = table([("x", "a"), ("y", "b")]), table([("z", "a")])
    train.reading.leave_out("blank line")
    train.reading.leave_out("hidden file", 1200)
    train.reading.repair("a.csv: cells are separated by a semicolon, not by a comma")
    splits = Splits(train, validation)
    found = audit(splits, ("a", "b"), lengths(splits), 128)
    assert found.rows()[1] == ("left out", "1,200 hidden files, 1 blank line", "0")
    assert found.warnings[0] == train.reading.repairs[0]
    again = Audit.from_json(json.loads(json.dumps(found.to_json())))
    assert again == found
    assert again.splits["train"].left_out == {"blank line": 1, "hidden file": 1200}


def test_an_audit_of_an_earlier_version_left_nothing_out(flawed):
    value = flawed.to_json()
    for split in value["splits"].values():
        del split["left_out"], split["repairs"]
    assert Audit.from_json(value) == flawed


def test_duplicates_and_conflicts_are_counted_by_distinct_text(flawed):
    found = {name: (split.duplicate_texts, split.conflicting_texts) for name, split in flawed.splits.items()}
    assert found == {"train": (2, 1), "validation": (0, 0), "test": (1, 0)}


def test_empty_and_cut_texts_are_counted(flawed):
    assert [split.empty_texts for split in flawed.splits.values()] == [1, 1, 0]
    assert [split.cut_texts for split in flawed.splits.values()] == [1, 0, 0]
    assert flawed.splits["train"].cut_share == pytest.approx(1 / 6)


def test_a_text_of_just_the_sequence_length_is_not_cut():
    train = [("one two three", "a"), ("one two three four", "b")]
    assert look(train, sequence_length=5).splits["train"].cut_texts == 1


def test_shared_texts_count_the_rows_of_the_later_split(flawed):
    found = {(shared.first, shared.second): (shared.texts, shared.rows, shared.share) for shared in flawed.shared}
    assert found == {
        ("train", "validation"): (1, 1, pytest.approx(1 / 3)),
        ("train", "test"): (1, 2, 0.5),
        ("validation", "test"): (1, 1, 0.25),
    }


def test_token_lengths_are_percentiles():
    train = [("word " * number, "a") for number in range(1, 102)]
    assert look(train).splits["train"].token_lengths == {
        "min": 3,
        "5%": 8,
        "25%": 28,
        "50%": 53,
        "75%": 78,
        "95%": 98,
        "99%": 102,
        "max": 103,
    }


def test_warnings_say_what_a_person_should_look_at(flawed):
    warnings = flawed.warnings
    assert "2 texts of train occur twice, 1 of them with different labels" in warnings
    assert "1 text is in train and in validation: the validation score may be too good by as much as 33.3%" in warnings
    assert "1 text is in train and in test: the test score may be too good by as much as 50.0%" in warnings
    assert "1 text is in validation and in test: the choice of the best epoch has seen part of test" in warnings
    assert "17% of the training texts are longer than 5 tokens and are cut" in warnings
    assert "1 text of train is empty" in warnings
    assert any(line.startswith("2 labels have fewer than 10 training rows: 'a' (2), 'b' (4). ") for line in warnings)


def test_clean_data_has_no_warnings():
    train = [(f"train {number}", "ab"[number % 2]) for number in range(40)]
    validation = [(f"validation {number}", "ab"[number % 2]) for number in range(4)]
    assert look(train, validation).warnings == []


def test_a_dominant_label_and_one_that_is_absent_are_pointed_out():
    train = [(f"train {number}", "b" if number < 10 else "a") for number in range(100)]
    warnings = look(train).warnings
    assert {line.split(". ")[0] for line in warnings} == {
        "90.0% of train is 'a' (90), the rest 'b' (10)",
        "1 label has no rows in validation: 'b'",
    }


def test_a_text_that_occurs_often_is_told_from_one_that_occurs_twice():
    train = [("x", "a")] * 3 + [("y", "b")] * 2
    assert "2 texts of train occur more than once (up to 3 times)" in look(train).warnings


def test_pairs_are_the_same_only_if_both_texts_are():
    rows = [("same", "a"), ("same", "b"), ("same", "b")]
    splits = Splits(table(rows, ["x", "y", "y"]), table(rows[:2], ["x", " "]))
    found = audit(splits, ("a", "b"), lengths(splits), 128)
    assert (found.splits["train"].duplicate_texts, found.splits["train"].conflicting_texts) == (1, 0)
    assert found.splits["validation"].empty_texts == 1
    assert found.shared[0].texts == 1


def test_regression_labels_are_given_as_a_range():
    found = look([("x", 1.0), ("y", 4.0)], [("z", 2.0)], labels=())
    assert found.splits["train"].label_range == {"min": 1.0, "mean": 2.5, "max": 4.0}
    assert ("label, mean", "2.5", "2") in found.rows()
    assert not any("fewer than" in warning for warning in found.warnings)


def test_multilabel_rows_count_for_each_of_their_labels():
    found = look([("x", ("a", "b")), ("y", ()), ("z", ("b",))], [("v", ("a",))])
    assert found.splits["train"].rows_per_class == {"a": 1, "b": 2}


def test_the_table_has_one_cell_for_each_split(flawed):
    assert flawed.columns() == ("measure", "train", "validation", "test")
    rows = flawed.rows()
    assert all(len(row) == 4 and all(isinstance(cell, str) for cell in row) for row in rows)
    assert ("rows", "6", "3", "4") in rows
    assert ("label b", "4 (66.7%)", "1 (33.3%)", "2 (50.0%)") in rows
    assert ("also in train", "", "1 (33.3%)", "2 (50.0%)") in rows
    assert ("also in validation", "", "", "1 (25.0%)") in rows


def test_the_table_names_only_the_smallest_and_largest_of_many_labels():
    labels = [f"l{number:02}" for number in range(50)]
    train = [(f"{label} {row}", label) for number, label in enumerate(labels) for row in range(10 + number)]
    rows = {row[0]: row[1] for row in look(train, [("v", "l00")], labels=labels).rows()}
    assert rows["smallest label"] == "l00: 10"
    assert rows["largest label"] == "l49: 59"
    assert "label l00" not in rows


def test_it_can_be_written_as_json(flawed):
    written = json.loads(json.dumps(flawed.to_json()))
    assert Audit.from_json(written) == flawed
    assert [finding["name"] for finding in written.pop("findings")] == ["rare_labels"]
    assert Audit.from_json(written).findings == []  # as former versions wrote it
    assert written["splits"]["train"]["rows_per_class"] == {"a": 2, "b": 4}
    assert written["sequence_length"] == 5
    assert written["shared"][1] == {"first": "train", "second": "test", "texts": 1, "rows": 2, "share": 0.5}


def test_lengths_must_fit_the_rows():
    splits = Splits(table([("x", "a")]), table([("y", "b")]))
    with pytest.raises(ValueError, match=r"'validation'.*needs 1 lengths"):
        audit(splits, ("a", "b"), {"train": np.array([3])}, 128)


@pytest.mark.skipif(not EMOTION.is_dir(), reason="the folder of real data, ../shared/data, is absent")
def test_the_known_flaws_of_a_real_data_set_are_found():
    files = {name: EMOTION / f"{name}.tsv" for name in ("train", "validation", "test")}
    data = DataConfig(**files)
    splits = load_splits(data, Head.SOFTMAX, 0)
    found = audit(splits, resolve_labels(splits, data, Head.SOFTMAX), lengths(splits), 128)
    assert "31 texts of train occur twice, 30 of them with different labels" in found.warnings
    assert [shared.texts for shared in found.shared] == [5, 11, 3]
    assert found.splits["train"].rows_per_class == dict(sorted(Counter(splits.train.labels).items()))
