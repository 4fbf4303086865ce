"""A thousand bad rows among a hundred thousand: exactly they are in the dead letter, and all others have predict's answers."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest

import bert_serving as bs

ROWS, EVERY = 100_000, 100
WORDS = "film bike the is very wheel good bad".split()
POISON = [
    lambda number: b'{"id": %d, "text": "a poison in the film"}' % number,  # the model refuses it
    lambda number: b'{"id": %d}' % number,
    lambda number: b'{"id": %d, "text": null}' % number,
    lambda number: b'{"id": %d, "text": " \\n"}' % number,
    lambda number: b'{"id": %d, "text": 7}' % number,
    lambda number: b'{"id": %d, "text": ["a", "b"]}' % number,
    lambda number: b'{"id": %d, "text": "bad \xff"}' % number,
    lambda number: b'{"id": %d, "text": "\\ud800"}' % number,
    lambda number: b'{"id": %d, "text": "cut' % number,
    lambda number: b"%d" % number,
]

pytestmark = pytest.mark.slow


def test_exactly_the_bad_rows_are_in_the_dead_letter(bert_serving, refusing: Path, exported: Path, tmp_path: Path):
    choose = np.random.default_rng(9)
    texts = {}
    with (tmp_path / "rows.jsonl").open("wb") as file:
        for number in range(ROWS):
            if number % EVERY == 37:
                file.write(POISON[number // EVERY % len(POISON)](number) + b"\n")
                continue
            texts[number] = " ".join(choose.choice(WORDS, size=choose.integers(1, 25)))
            file.write(json.dumps({"id": number, "text": texts[number]}).encode() + b"\n")
    done = bs.score(
        refusing,
        input=tmp_path / "rows.jsonl",
        output=tmp_path / "scored",
        id="id",
        all_probabilities=True,
        runner="FnApiRunner",
    )
    poison = {number for number in range(ROWS) if number not in texts}
    assert (done.scored, done.failed, len(poison)) == (ROWS - 1000, 1000, 1000)
    files = sorted((tmp_path / "scored" / "_failed").glob("*"))
    failed = [json.loads(line) for path in files for line in path.read_text().splitlines()]
    assert {int(row["row"].rpartition(":")[2]) - 1 for row in failed} == poison
    assert len(failed) == 1000
    (tmp_path / "good.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts.values()))
    assert bert_serving("predict", exported, "--input", "good.jsonl", "--output", "predicted.jsonl").status == 0
    predicted = [json.loads(line) for line in (tmp_path / "predicted.jsonl").open()]
    scored = pyarrow.parquet.read_table(tmp_path / "scored").to_pydict()
    assert list(map(int, scored["id"])) == list(texts)
    assert scored["label"] == [row["label"] for row in predicted]
    expected = np.array([list(row["probabilities"].values()) for row in predicted])
    assert np.abs(np.array(scored["probabilities"]) - expected).max() < 2e-6
