"""The table `[tune]`: what it may say, and one line for each mistake."""

import pytest

from bert_serving.config import RunConfig, load_run_file, parse_run_config
from bert_serving.errors import RunFileError
from bert_serving.run_file import dump_run_file
from bert_serving.search_space import Range, check_overrides

BASE = {"data": {"train": ["train.tsv"]}, "encoder": {"name": "some"}}


def parsed(tune: object) -> RunConfig:
    return parse_run_config(BASE | {"tune": tune})


RATE = {"low": 3e-5, "high": 3e-4, "log": True}
SPACES = {
    "no key": ({}, {}),
    "a list": ({"training.epochs": [2, 3]}, {"training.epochs": (2, 3)}),
    "one value": ({"head.pooling": ["mean"]}, {"head.pooling": ("mean",)}),
    "a range": ({"training.learning_rate": RATE}, {"training.learning_rate": Range(low=3e-5, high=3e-4, log=True)}),
    "steps": (
        {"training.batch_size": {"low": 8, "high": 32, "step": 8}},
        {"training.batch_size": Range(low=8, high=32, step=8)},
    ),
    "a key without quotes": ({"training": {"epochs": [2, 3]}}, {"training.epochs": (2, 3)}),
    "a range without quotes": (
        {"head": {"dropout": {"low": 0, "high": 0.3}}},
        {"head.dropout": Range(low=0, high=0.3)},
    ),
    "an optional key": (
        {"training.early_stopping": {"low": 1, "high": 3}},
        {"training.early_stopping": Range(low=1, high=3)},
    ),
    "words": ({"encoder.name": ["one", "other"]}, {"encoder.name": ("one", "other")}),
}


@pytest.mark.parametrize("case", SPACES)
def test_a_search_space_is_read(case):
    tune, space = SPACES[case]
    assert parsed(tune).tune.space == space


WRONG = {
    "an unknown key": ({"training.epoch": [2]}, "tune.training.epoch: unknown key; remove it or correct its spelling"),
    "no table": ({"epochs": [2]}, "tune.epochs: unknown key; give table.key of encoder, head, training"),
    "an unknown table": ({"optimizer.rate": [2]}, "tune.optimizer.rate: unknown key; give table.key of"),
    "data": ({"data.max_train_rows": [2]}, "tune.data.max_train_rows: keys of [data] are not searched"),
    "an export": ({"export.name": ["a"]}, "tune.export.name: keys of [export] are not searched"),
    "the seed": ({"training.seed": [1, 2]}, "tune.training.seed: cannot be searched: all trials have one seed"),
    "the metric": ({"training.best_metric": ["loss"]}, "cannot be searched: it decides what is measured"),
    "a former name": ({"training.warmup_share": [0.1]}, "is now training.warmup_ratio; use that name"),
    "a word for a number": (
        {"training.learning_rate": ["x"]},
        "valid number, unable to parse string as a number, got 'x'",
    ),
    "a fraction for a whole number": ({"training.epochs": {"low": 1.5, "high": 3}}, "fractional part, got 1.5"),
    "a value that is not allowed": ({"head.pooling": ["sum"]}, "'pooler', 'cls', 'mean' or 'max', got 'sum'"),
    "an end that is not allowed": ({"head.dropout": {"low": 0, "high": 1}}, "should be less than 1, got 1"),
    "a range of words": ({"head.pooling": {"low": 0, "high": 1}}, "is no number, so that it has no range; give a list"),
    "a range of switches": ({"training.xla": {"low": 0, "high": 1}}, "is no number, so that it has no range"),
    "low over high": ({"training.epochs": {"low": 3, "high": 1}}, "low must be under high, got low = 3 and high = 1"),
    "log of zero": ({"head.dropout": {"low": 0, "high": 0.3, "log": True}}, "log needs a low over 0, got low = 0"),
    "log and step": (
        {"training.epochs": {"low": 1, "high": 9, "log": True, "step": 2}},
        "log and step do not go together",
    ),
    "a step over the range": (
        {"training.epochs": {"low": 1, "high": 3, "step": 5}},
        "step must be over 0 and at most high - low",
    ),
    "half a range": ({"training.epochs": {"low": 1}}, "expected a list of values, or {low = ..., high = ...}"),
    "a single value": ({"training.epochs": 3}, "expected a list of values, or {low = ..., high = ...}"),
    "an empty list": ({"training.epochs": []}, "the list is empty; give values to choose from"),
    "a value twice": ({"training.epochs": [2, 2]}, "2 is there twice; remove one of them"),
    "a key twice": ({"training.epochs": [2], "training": {"epochs": [3]}}, "training.epochs is there twice"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_search_space_is_told_in_one_line(case):
    tune, message = WRONG[case]
    with pytest.raises(RunFileError) as raised:
        parsed(tune)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)
    assert len(raised.value.problems) == 1


def test_a_key_that_is_searched_and_set_is_refused():
    space = parsed({"training.epochs": [2, 3]}).tune.space
    check_overrides(space, ["training.batch_size=4"])
    with pytest.raises(RunFileError, match=r"training\.epochs is searched by \[tune\] and set by --set; leave out one"):
        check_overrides(space, ["training.epochs=4"])


def test_the_search_space_is_no_part_of_a_run():
    with_space, without = parsed({"training.epochs": [2, 3]}), parsed({})
    assert dump_run_file(with_space) == dump_run_file(without)
    assert with_space.model_dump() == without.model_dump()


def test_paths_of_encoders_are_relative_to_the_run_file(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text(
        '[data]\ntrain = "train.tsv"\n[encoder]\npath = "one"\n[tune]\n"encoder.path" = ["one", "/other"]\n', "utf-8"
    )
    assert load_run_file(path).tune.space == {"encoder.path": (str(tmp_path / "one"), "/other")}


@pytest.mark.parametrize(
    ("value", "is_inside"),
    [
        (8, True),
        (16, True),
        (24, True),
        (32, False),
        (12, False),
        (4, False),
        (True, False),
        ("8", False),
        (None, False),
    ],
)
def test_a_range_with_steps_holds_its_steps_alone(value, is_inside):
    assert Range(low=8, high=24, step=8).holds(value) == is_inside
