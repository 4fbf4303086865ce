"""Exploration of labeled text, with the tiny encoder's own tokenizer."""

import json

import numpy as np
import pytest

from bert_serving.contract import Head
from bert_serving.data.splits import Splits
from bert_serving.data.table import LabeledTable
from bert_serving.evaluation.baselines import baselines
from bert_serving.exploration import explore as module
from bert_serving.exploration.explore import ExplorationInput, explore
from bert_serving.exploration.findings import findings
from bert_serving.text.preprocessing import load_preprocessing

FILLER = ("film", "bike", "the", "is", "very", "wheel", "not")
SHARED = "the film is the bike is the wheel is not good"


@pytest.fixture(scope="module")
def load(encoder_folder):
    loaded = load_preprocessing(encoder_folder / "preprocessing")
    return lambda: loaded


def clean_rows(rows: int, seed: int) -> list[tuple[str, str]]:
    random = np.random.default_rng(seed)
    texts = [" ".join(random.choice(FILLER, size=random.integers(9, 16))) for _ in range(rows)]
    return [
        (f"{text} {('good', 'bad')[number % 2]}", ("praise", "blame")[number % 2]) for number, text in enumerate(texts)
    ]


def as_table(rows) -> LabeledTable:
    return LabeledTable([text for text, _ in rows], None, [label for _, label in rows], "a.tsv")


def material(
    train, validation=None, test=None, *, head=Head.SOFTMAX, labels=("blame", "praise"), length=32
) -> ExplorationInput:
    tables = [as_table(rows or clean_rows(20, 50 + place)) for place, rows in enumerate((train, validation, test))]
    splits = Splits(*tables)
    return ExplorationInput(splits.named(), splits, labels if head is not Head.REGRESSION else (), head, length)


def found(load, *splits, **options):
    seen = explore(material(*splits, **options), load)
    return {finding.name: finding for finding in findings(seen)}


class TestCleanData:
    def test_has_nothing_to_fix(self, load):
        assert {name: finding.level for name, finding in found(load, clean_rows(200, 1)).items()} == {
            "conflicting_labels": "ok",
            "duplicates": "ok",
            "leaks": "ok",
            "near_duplicates": "ok",
            "balance": "ok",
            "vocabulary": "ok",
            "cut_texts": "ok",
            "giveaway_words": "check",  # made so: "good" is praise
            "easy": "check",
        }

    def test_one_table_alone_has_no_leaks_to_speak_of(self, load):
        whole = material(clean_rows(100, 1))
        alone = ExplorationInput({"train": whole.tables["train"]}, whole.splits, whole.labels, whole.head, 32)
        names = [finding.name for finding in findings(explore(alone, load))]
        assert not [name for name in names if name.startswith("leak")]


def with_rows(*rows):
    return clean_rows(200, 1) + list(rows)


CASES = {
    "empty_texts": ((with_rows(("  ", "blame")),), "fix", "1 row has an empty text", 1),
    "conflicting_labels": (
        (with_rows((SHARED, "praise"), (SHARED, "blame")),),
        "check",
        "1 text has conflicting labels in different rows",
        2,
    ),
    "duplicates": (
        (with_rows(*[(SHARED, "praise")] * 3),),
        "check",
        "1 text of train occurs more than once (2 surplus rows, 1.0%)",
        3,
    ),
    "leak_train_test": (
        (with_rows((SHARED, "praise")), None, [*clean_rows(20, 9), (SHARED, "praise"), (f"{SHARED}!", "praise")]),
        "fix",
        "2 rows of test are also in train, 1 of them as a near-duplicate (9.1%)",
        2,
    ),
    "leak_train_validation": (
        (with_rows((SHARED, "praise")), [*clean_rows(20, 9), (f"{SHARED}!", "praise")]),
        "check",
        "1 row of validation is a near-duplicate of rows of train (4.8%)",
        1,
    ),
    "leak_validation_test": (
        (with_rows(), [*clean_rows(20, 9), (SHARED, "praise")], [*clean_rows(20, 8), (SHARED, "praise")]),
        "fix",
        "1 row of test is also in validation (4.8%)",
        1,
    ),
    "near_duplicates": (
        (with_rows((SHARED, "praise"), (f"{SHARED} not", "praise")),),
        "check",
        "1 text of train is a near-duplicate (0.5%)",
        1,
    ),
    "conflicting_near_duplicates": (
        (with_rows((SHARED, "praise"), (f"{SHARED}?", "blame")),),
        "check",
        "1 near-duplicate has conflicting labels",
        1,
    ),
    "dominant_label": (
        ([(text, "praise") for text, _ in clean_rows(200, 1)] + clean_rows(60, 2),),
        "check",
        "88.5% of train is 'praise'",
        0,
    ),
    "rare_labels": (
        ([(text, "praise") for text, _ in clean_rows(40, 1)] + clean_rows(6, 2),),
        "fix",
        "1 label has fewer than 10 training rows: 'blame'",
        1,
    ),
    "absent_labels_test": (
        (with_rows(), None, [("good", "praise")] * 2),
        "check",
        "1 label has no rows in test: 'blame'",
        1,
    ),
    "unknown_words": (
        (with_rows(*[("zebra quagga okapi good", "praise")] * 60),),
        "fix",
        "5.4% of the tokens are unknown to the vocabulary",
        60,
    ),
    "split_words": (
        ([("goodlyly badlyly " * 10, label) for _, label in clean_rows(60, 1)],),
        "check",
        "A word is split into 2.",
        0,
    ),
    "cut_texts": (
        ([(f"{text} " * 4, label) for text, label in clean_rows(60, 1)],),
        "check",
        "100% of the training texts are longer than 32 tokens and are cut",
        60,
    ),
    "hard": (
        ([(text, ("praise", "blame")[number % 3 == 0]) for number, (text, _) in enumerate(clean_rows(300, 1))],),
        "check",
        "TF-IDF reaches accuracy",
        0,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_each_fault_is_found_and_shown(load, name):
    splits, level, title, rows = CASES[name]
    finding = found(load, *splits)[name]
    assert (finding.level, finding.title[: len(title)]) == (level, title)
    assert (finding.evidence.total if finding.evidence else 0) == rows
    assert finding.detail


def test_uneven_labels_are_shown_the_rarest_first(load):
    texts = [text for text, _ in clean_rows(300, 1)]
    labels = ["blame"] * 150 + ["praise"] * 138 + ["odd"] * 12
    rows = list(zip(texts, labels, strict=True))
    finding = found(load, rows, rows, rows, labels=("blame", "odd", "praise"))["uneven_labels"]
    assert finding.title == "'blame' (150) has 12 times the rows of 'odd' (12)"
    assert [row[:2] for row in finding.evidence.rows] == [("odd", 12), ("praise", 138), ("blame", 150)]


def test_what_must_be_fixed_comes_first(load):
    levels = [
        finding.level
        for finding in found(load, with_rows(("", "blame"), (SHARED, "praise"), (SHARED, "praise"))).values()
    ]
    assert levels == sorted(levels, key=("fix", "check", "ok").index)
    assert {"fix", "check", "ok"} == set(levels)


def test_the_rows_of_a_leak_stand_side_by_side(load):
    train = with_rows((SHARED, "praise"))
    finding = found(load, train, None, [(SHARED, "blame"), ("good film", "praise")])["leak_train_test"]
    (row,) = [dict(zip(finding.evidence.columns, row, strict=True)) for row in finding.evidence.rows]
    assert row == {
        "similarity": 1.0,
        "label": "blame",
        "text": SHARED,
        "duplicate's label": "praise",
        "duplicate": SHARED,
        "row": "test 1",
        "duplicate's row": "train 201",
    }


def test_labels_that_look_like_scores_are_pointed_out(load):
    rows = [(text, f"{number % 4}.5") for number, (text, _) in enumerate(clean_rows(100, 1))]
    seen = found(load, rows, rows[:20], rows[:20], labels=("0.5", "1.5", "2.5", "3.5"))
    assert seen["number_labels"].title == "All 4 labels are numbers with decimals, such as 0.5"
    assert "number_labels" not in found(load, clean_rows(60, 1))


class TestLengths:
    def test_are_told_for_all_rows_and_for_each_class(self, load):
        seen = explore(material([("good film", "praise")] * 30 + [("bad " * 10, "blame")] * 10), load)
        assert [(box.label, box.rows, box.percentiles) for box in seen.token_boxes] == [
            ("all", 40, (4, 4, 4, 6, 12)),
            ("blame", 10, (12,) * 5),
            ("praise", 30, (4,) * 5),
        ]
        assert [box.percentiles[2] for box in seen.word_boxes] == [2, 10, 2]

    def test_other_sequence_lengths_are_compared(self, load):
        seen = explore(material([("good " * 8, "praise")] * 3 + [("bad " * 38, "blame")], length=20), load)
        assert [(cut.length, cut.whole, round(cut.tokens, 4)) for cut in seen.truncations] == [
            (16, 0.75, round((30 + 16) / 70, 4)),
            (20, 0.75, round((30 + 20) / 70, 4)),
            (32, 0.75, round((30 + 32) / 70, 4)),
            (48, 1.0, 1.0),
        ]


class TestHeads:
    def test_a_row_of_several_labels_counts_for_each(self, load):
        rows = [(text, (label, "all")) for text, label in clean_rows(60, 1)] + [("ok", ())]
        seen = explore(
            material(rows, rows[:20], rows[20:40], head=Head.MULTILABEL, labels=("all", "blame", "praise")), load
        )
        assert {label: int(members[:61].sum()) for label, members in seen.classes.items()} == {
            "all": 60,
            "blame": 30,
            "praise": 30,
        }
        assert "micro_f1" in seen.baselines["tfidf_logistic_regression"]
        (told,) = [finding.title for finding in findings(seen) if finding.name == "easy"]
        assert told.startswith("TF-IDF alone reaches micro F1 1.000 on test")

    def test_numbers_are_parted_at_their_median(self, load):
        rows = [(text, float(number % 5)) for number, (text, _) in enumerate(clean_rows(100, 1))]
        seen = explore(material(rows, rows[:20], rows[20:40], head=Head.REGRESSION), load)
        assert {label: int(members[:100].sum()) for label, members in seen.classes.items()} == {
            "up to 2": 60,
            "above 2": 40,
        }
        assert set(seen.baselines) == {"mean", "tfidf_ridge"}
        assert [count for *_, count in module.number_bins([0.0, 0.0, 1.0])][:: module.HISTOGRAM_BINS - 1] == [2, 1]


@pytest.mark.slow
def test_baselines_are_the_same_in_a_process_of_their_own(load, monkeypatch):
    whole = material(clean_rows(60, 1))
    splits = whole.splits
    expected = baselines(splits.train, splits.test, whole.labels, whole.head, 0)
    assert explore(whole, load).baselines == expected
    monkeypatch.setattr(module, "LARGE_TEXT", 0)
    assert explore(whole, load).baselines == expected


def test_everything_can_be_written_as_json(load):
    seen = explore(material(with_rows((SHARED, "praise"), (SHARED, "blame"))), load)
    answer = json.loads(json.dumps({**seen.to_json(), "findings": [finding.to_json() for finding in findings(seen)]}))
    assert answer["rows"] == {"train": 202, "validation": 20, "test": 20}
    assert answer["conflicting_texts"] == 1
    (conflict,) = [finding for finding in answer["findings"] if finding["name"] == "conflicting_labels"]
    assert (conflict["level"], conflict["rows"], "evidence" in conflict) == ("check", 2, False)
