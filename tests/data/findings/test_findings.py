"""Findings of the audit on labels and texts: what is told, and what is not, on made-up and on real data."""

import numpy as np
import pytest
from support.paths import SHARED

from bert_serving.config import DataConfig
from bert_serving.contract import Head
from bert_serving.data.audit import audit
from bert_serving.data.findings.finding import DataFinding
from bert_serving.data.splits import Splits, load_splits, resolve_labels
from bert_serving.data.table import LabeledTable
from bert_serving.errors import DataError


def found(labels, texts=None, pairs=None, test=None) -> dict[str, DataFinding]:
    """The findings on a train table, by name; the validation table is the same one."""
    texts = texts or [f"text {number} of some words" for number in range(len(labels))]
    table = LabeledTable(list(texts), pairs, list(labels), "a.tsv")
    other = table if test is None else LabeledTable([f"other {row}" for row in range(len(test))], None, test, "b.tsv")
    tables = {"train": table, "test": other}
    names = (
        sorted({name for label in labels for name in ([label] if isinstance(label, str) else label)}, key=str)
        if (not isinstance(labels[0], float))
        else []
    )
    lengths = {name: np.ones(len(each)) for name, each in tables.items()}
    return {finding.name: finding for finding in audit(tables, names, lengths, 128).findings}


HALVES = ["spam", "ham"] * 20
QUOTED = [f'"the ""{row}"" of words"' if row % 4 == 0 else f"{row} words" for row in range(40)]
CASES = {
    "label_spellings": (
        {"labels": ["Spam"] * 12 + ["spam"] * 20 + ["ham"] * 20},
        "fix",
        "1 label is spelled in several ways: 'Spam' (24) = 'spam' (40)",
    ),
    "no_label": (
        {"labels": ["-"] * 12 + ["spam"] * 20 + ["ham"] * 20},
        "fix",
        "1 label may mean that there is no label: '-' (24)",
    ),
    "joined_labels": (
        {"labels": ["spam;ham"] * 12 + ["spam"] * 20 + ["ham"] * 20},
        "fix",
        "1 label is several labels joined by ';': 'spam;ham' (24)",
    ),
    "number_labels": (
        {"labels": ["0.5", "1.5", "2.5", "3.5"] * 12},
        "fix",
        "All 4 labels are numbers with decimals, such as 0.5",
    ),
    "rare_labels": (
        {"labels": ["eggs"] * 3 + HALVES},
        "fix",
        "1 label has fewer than 10 training rows: 'eggs' (3)",
    ),
    "absent_labels_test": (
        {"labels": HALVES, "test": ["spam"] * 5},
        "check",
        "1 label has no rows in test: 'ham'",
    ),
    "dominant_label": (
        {"labels": ["ham"] * 4_996 + ["spam"] * 12},
        "check",
        "99.8% of train is 'ham' (4,996), the rest 'spam' (12)",
    ),
    "uneven_labels": (
        {"labels": HALVES * 50 + ["eggs"] * 20},
        "check",
        "'ham' (1,000) has 50 times the rows of 'eggs' (20)",
    ),
    "unique_labels": (
        {"labels": [f"id {row}" for row in range(40)]},
        "fix",
        "train has 40 labels for 40 rows, such as 'id 0', 'id 1', 'id 10' ...",
    ),
    "constant_numbers": ({"labels": [3.0] * 40}, "fix", "All 40 labels of train are 3"),
    "no_number": (
        {"labels": [0.5, 2.0, 4.5, -1.0] * 10},
        "check",
        "10 labels of train are -1, apart from all others (0.5 to 4.5)",
    ),
    "constant_text": (
        {"labels": HALVES, "texts": ["n. a."] * 40},
        "fix",
        "100% of the training rows have the same text: 'n. a.'",
    ),
    "number_texts": (
        {"labels": HALVES, "texts": [f"{row:,}" for row in range(1_000, 1_040)]},
        "fix",
        "The texts of 100% of the training rows are numbers, such as '1,000'",
    ),
    "same_pair": (
        {"labels": HALVES, "texts": [f"t {row}" for row in range(40)], "pairs": [f"t {row}" for row in range(40)]},
        "fix",
        "In 100% of the training rows the second text is the same as the first",
    ),
    "text_is_label": (
        {"labels": HALVES, "texts": [label.upper() for label in HALVES]},
        "fix",
        "The text of 100% of the training rows is the label itself",
    ),
    "text_tells_label": (
        {"labels": HALVES, "texts": [f"{label}: text {row}" for row, label in enumerate(HALVES)]},
        "fix",
        "The text of 100% of the training rows begins or ends with its label",
    ),
    "quoted_cells": (
        {"labels": HALVES, "texts": QUOTED},
        "fix",
        "20 rows hold cells that were quoted when the file was written, with inner quotes doubled, such as row 1 of train",
    ),
    "no_text": (
        {"labels": HALVES, "texts": [f"text {row}" for row in range(38)] + ["NaN", "null"]},
        "check",
        "4 texts are what programs write for a missing one: 'NaN' (2), 'null' (2)",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_flaw_is_found_with_its_values_counts_and_remedy(name):
    data, level, title = CASES[name]
    finding = found(**data)[name]
    assert (finding.level, finding.title) == (level, title)
    assert finding.advice.endswith(".")


@pytest.mark.parametrize(
    "data",
    [
        {"labels": HALVES},
        {"labels": ["-1", "0", "1"] * 20},
        {"labels": ["+", "-"] * 20},
        {"labels": ["TV/Radio", "Print", "1.0", "2.0"] * 10},
        {"labels": [1.5, -1.0, -0.5] * 20},
        {"labels": HALVES, "texts": [f'"all" he said of {row} "men"' for row in range(40)]},
        {"labels": HALVES, "texts": [f'"{row} words"' if row % 9 else "none at all" for row in range(40)]},
        {"labels": [("spam", "ham"), ("ham",), ()] * 20},
        {"labels": [("US|tax", "ham"), ("ham",), ("US|tax",)] * 20},
    ],
)
def test_what_may_be_meant_is_no_finding(data):
    assert found(**data) == {}


def test_a_multilabel_table_joined_by_another_sign_is_found():
    finding = found([("joy|anger",), ("fear",), ()] * 15)["joined_labels"]
    assert "Join the labels of a row by commas instead of '|'" in finding.advice


def test_a_label_in_another_spelling_is_named_where_train_lacks_it():
    train, other = (LabeledTable(["x"] * len(names), None, names, "a.tsv") for names in (["spam", "ham"], ["Spam"]))
    with pytest.raises(DataError, match=r"'Spam' \(1 row, another spelling of 'spam'\)"):
        resolve_labels(Splits(train, other), DataConfig(train=("a.tsv",)), Head.SOFTMAX)


def test_a_column_without_repeated_values_is_refused_as_labels(write_tsv):
    path = write_tsv("rows.tsv", [(f"text {row}", f"id {row}") for row in range(20)])
    with pytest.raises(DataError, match="column 'label' has another label in each of 20 rows"):
        load_splits(DataConfig(train=(path,)), Head.SOFTMAX, 0)


REAL = {
    "banking77": set(),
    "emotion": set(),
    "imdb": set(),
    "mrpc": set(),
    "sib200/eng_Latn": set(),  # its quoted cells lose their quotes while they are read
    "sib200/jpn_Jpan": set(),
    "sms_spam": {"dominant_label"},
    "sst2_sent": set(),
    "stsb": set(),
    "trec6": {"uneven_labels"},
    "tweeteval_emotion": set(),
    "waimai_10k": set(),
}


@pytest.mark.parametrize("name", REAL)
@pytest.mark.skipif(not (SHARED / "data").is_dir(), reason="the folder of real data, ../shared/data, is absent")
def test_real_data_has_no_findings_but_the_known_ones(name):
    files = {path.name.split(".")[0]: (path,) for path in (SHARED / "data" / name).glob("*.tsv*")}
    head = Head.REGRESSION if name == "stsb" else Head.SOFTMAX
    columns = {"text": "text_a", "text_pair": "text_b"} if name in ("mrpc", "stsb") else {}
    data = DataConfig(**files, **columns)
    splits = load_splits(data, head, 0)
    lengths = {split: np.ones(len(table)) for split, table in splits.named().items()}
    findings = audit(splits, resolve_labels(splits, data, head), lengths, 128).findings
    assert {finding.name for finding in findings} == REAL[name]
