"""A scoring job: every row once, in an output or in the dead letter; resumed, stopped, refused."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import pytest

import bert_serving as bs
from bert_serving.beam import job
from bert_serving.errors import BertServingError, DataError, ExportError, InputError, RunFileError, ScoringError
from bert_serving.io.cache import folder_sha256
from bert_serving.saved_model.reader import ExportedModel
from bert_serving.scoring import shard_work
from bert_serving.scoring.records import Records
from bert_serving.scoring.scorer import Scorer

WORDS = "film bike the is very wheel good bad".split()
# Workers in this process: the processes of the DirectRunner would import TensorFlow anew for each test.
HERE = "FnApiRunner"
_LOADED: dict[str, Scorer] = {}


@pytest.fixture(autouse=True)
def _loaded_once(monkeypatch: pytest.MonkeyPatch):
    """Each job of these tests has the same model, which takes seconds to load."""
    load = Scorer.load

    def once(folder: Path, **options: Any) -> Scorer:
        digest = folder_sha256(Path(folder))
        if digest not in _LOADED:
            _LOADED[digest] = load(folder, **options)
        return _LOADED[digest]

    monkeypatch.setattr(Scorer, "load", once)


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    """A hundred rows, of which two are bad."""
    random = np.random.default_rng(5)
    lines = [f"{number},{' '.join(random.choice(WORDS, size=random.integers(1, 30)))},en" for number in range(100)]
    lines[17], lines[61] = "17,,en", "61,one,cell,too many"
    path = tmp_path / "reviews.csv"
    path.write_text("id,review,lang\n" + "\n".join(lines) + "\n")
    return path


@pytest.fixture
def score(exported: Path, reviews: Path, tmp_path: Path) -> Callable[..., Any]:
    """Scores the reviews in this process."""

    def run(**settings: Any) -> Any:
        given = {"input": reviews, "output": tmp_path / "scored", "text": "review", "id": "id", "runner": HERE}
        given |= {"shard_rows": 10} | settings
        return bs.score(given.pop("model", exported), **given)

    return run


def scored_rows(folder: Path) -> list[dict[str, Any]]:
    return pyarrow.parquet.read_table(folder).to_pylist()


def failed_rows(folder: Path) -> list[dict[str, Any]]:
    files = sorted((folder / "_failed").glob("*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def test_every_row_ends_in_an_output_or_in_the_dead_letter(score, exported: Path, reviews: Path, tmp_path: Path):
    done = score(keep=["lang"], all_probabilities=True)
    assert (done.rows, done.scored, done.failed) == (100, 98, 2)
    rows = scored_rows(tmp_path / "scored")
    assert [row["id"] for row in rows] == [str(number) for number in range(100) if number not in (17, 61)]
    assert {(row["model"], row["version"], row["digest"], row["lang"]) for row in rows} == {
        ("tiny", 1, done.manifest["plan"]["model"]["digest"], "en")
    }
    texts = {line.split(",")[0]: line.split(",")[1] for line in reviews.read_text().splitlines()[1:]}
    expected = ExportedModel(exported).predict([texts[row["id"]] for row in rows])
    np.testing.assert_allclose([row["probabilities"] for row in rows], expected, atol=2e-6)
    labels = ExportedModel(exported).manifest.labels
    assert [row["label"] for row in rows] == [labels[number] for number in expected.argmax(axis=1)]
    np.testing.assert_allclose([row["probability"] for row in rows], expected.max(axis=1), atol=2e-6)
    assert [(row["row"].rpartition(":")[2], row["id"], row["reason"]) for row in failed_rows(tmp_path / "scored")] == [
        ("18", "17", "'review' has no text"),
        ("62", None, "has 4 columns, the header has 3"),
    ]
    assert not (tmp_path / "scored" / "_job").exists()


def test_a_complete_job_is_not_done_again(score, tmp_path: Path):
    first = score()
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "scored").rglob("*")}
    again = score()
    assert again.rows_now == 0
    assert again.manifest == first.manifest
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "scored").rglob("*")} == before


@pytest.mark.parametrize("fault", ["before its files", "between its files and its receipt"])
def test_a_job_that_failed_continues_with_its_unfinished_shards(score, fault: str, monkeypatch, tmp_path: Path):
    undisturbed = score(output=tmp_path / "undisturbed")
    scored: list[int] = []

    def failing(plan: Any, shard: Any, scorer: Any, records: Any) -> Any:
        if shard.number == 4 and len(scored) < 20 and fault == "before its files":
            raise OSError("the disk is gone")
        scored.append(shard.number)
        if shard.number == 4 and fault != "before its files":
            monkeypatch.setattr(
                records, "write_receipt", lambda receipt: (_ for _ in ()).throw(OSError("the disk is gone"))
            )
        return shard_work.score_shard(plan, shard, scorer, records)

    with monkeypatch.context() as patched:
        patched.setattr("bert_serving.beam.pipeline.score_shard", failing)
        with pytest.raises(ScoringError, match="the disk is gone; the same command continues"):
            score()
    assert not (tmp_path / "scored" / "_manifest.json").exists()
    finished = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "scored" / "_job").glob("shard-*.json")}
    outputs = {
        name: (tmp_path / "scored" / name) for name in [output["name"] for output in undisturbed.manifest["outputs"]]
    }
    times = {name: path.stat().st_mtime_ns for name, path in outputs.items() if path.exists()}
    done = score()
    assert done.manifest["outputs"] == undisturbed.manifest["outputs"]
    signed = {f"scores-{name[6:11]}-of-00010.parquet" for name in finished}
    assert {name for name, changed in times.items() if outputs[name].stat().st_mtime_ns == changed} >= signed


def test_too_many_failed_rows_end_the_job_and_a_higher_limit_continues_it(score, tmp_path: Path):
    with pytest.raises(ScoringError, match="more than max_failed_rows 1 allows"):
        score(max_failed_rows=1)
    assert not (tmp_path / "scored" / "_manifest.json").exists()
    with pytest.raises(ScoringError, match="more than max_failed_rows 1 allows"):
        score(max_failed_rows=1)
    assert score(max_failed_rows=2).scored == 98


def test_csv_and_json_lines_hold_the_same_answers(score, tmp_path: Path):
    score(all_probabilities=True)
    expected = scored_rows(tmp_path / "scored")
    labels = ("blame", "praise")
    score(output=tmp_path / "lines", output_format="jsonl", all_probabilities=True)
    score(output=tmp_path / "csv", output_format="csv", all_probabilities=True)
    lines = [json.loads(line) for path in sorted((tmp_path / "lines").glob("*.jsonl")) for line in path.open()]
    assert [line["id"] for line in lines] == [row["id"] for row in expected]
    assert [list(line["probabilities"].values()) for line in lines] == pytest.approx(
        np.array([row["probabilities"] for row in expected]), abs=1e-6
    )
    table = [
        line.split(",") for path in sorted((tmp_path / "csv").glob("*.csv")) for line in path.read_text().splitlines()
    ]
    header, rows = table[0], [row for row in table if row[0] != "id"]
    assert header == ["id", "label", "probability", "model", "version", "digest", *labels]
    assert [row[:2] for row in rows] == [[row["id"], row["label"]] for row in expected]


def test_rows_without_an_identifier_have_file_and_number(score, reviews: Path, tmp_path: Path):
    score(id=None)
    keys = [row["row"] for row in scored_rows(tmp_path / "scored")]
    assert keys[:2] == [f"{reviews}:1", f"{reviews}:2"]
    assert len(set(keys)) == 98


def test_columns_of_a_parquet_file_keep_their_types(score, tmp_path: Path):
    table = pyarrow.table(
        {"key": [7, 8], "review": ["a film", "a bike"], "when": pyarrow.array([1, 2], pyarrow.timestamp("s"))}
    )
    pyarrow.parquet.write_table(table, tmp_path / "in.parquet")
    score(input=tmp_path / "in.parquet", id="key", keep=["when"])
    schema = pyarrow.parquet.read_schema(tmp_path / "scored" / "scores-00000-of-00001.parquet")
    assert (schema.field("key").type, schema.field("when").type) == (pyarrow.int64(), pyarrow.timestamp("ms"))


CHANGES = [
    ({"text": "lang"}, r"another job: other settings \(text\)"),
    ({"output_format": "csv"}, r"other settings \(output_format\)"),
]


@pytest.mark.parametrize(("changed", "message"), CHANGES)
def test_the_output_of_another_job_is_not_touched(score, changed: dict[str, Any], message: str, tmp_path: Path):
    score()
    before = sorted((tmp_path / "scored").rglob("*"))
    with pytest.raises(InputError, match=message):
        score(**changed)
    assert sorted((tmp_path / "scored").rglob("*")) == before


def test_a_changed_input_or_model_is_another_job(score, exported: Path, reviews: Path, tmp_path: Path):
    shutil.copytree(exported, tmp_path / "models" / "1")
    score(model=str(tmp_path / "models"))
    (tmp_path / "models" / "1" / "assets.extra" / "README.md").write_text("another")
    with pytest.raises(InputError, match="another job: another model"):
        score(model=str(tmp_path / "models"))
    reviews.write_text("id,review,lang\n1,a film,en\n")
    shutil.rmtree(tmp_path / "models" / "1")
    shutil.copytree(exported, tmp_path / "models" / "1")
    with pytest.raises(InputError, match="other input files, or the files changed since"):
        score(model=str(tmp_path / "models"))


REFUSED: list[tuple[dict[str, Any], type[BertServingError], str]] = [
    ({"input": "/missing/*.csv"}, DataError, r"/missing/\*.csv: no such file"),
    ({"text": "text"}, DataError, "has no column 'text'; its columns are 'id', 'review', 'lang'"),
    ({"keep": ["where"]}, DataError, "has no column 'where'"),
    ({"keep": ["label"]}, RunFileError, "keep names 'label', which is a column of the output already"),
    ({"model": "/missing"}, ExportError, "/missing: no such folder"),
    ({"text_pair": "lang"}, InputError, "takes single texts; leave out --text-pair lang"),
    ({"shards": 3}, RunFileError, "shards: unknown key"),
    ({"output_format": "xml"}, RunFileError, "output_format: input should be 'parquet', 'jsonl' or 'csv', got 'xml'"),
    ({"max_failed_rows": -1}, RunFileError, "max_failed_rows"),
    ({"workers": 2, "runner": "FlinkRunner"}, RunFileError, "workers is for the DirectRunner"),
    ({"runner": "FlinkRunner"}, InputError, "is a path of this machine, which workers of FlinkRunner do not see"),
    ({"runner": "Flink"}, InputError, "runner 'Flink' is none of Apache Beam; give DirectRunner"),
    ({"runner": "DaskRunner"}, InputError, "loses rows without an error"),
    ({"runner_options": ["direct_num_worker=3"]}, InputError, "did you mean 'direct_num_workers'?"),
    ({"input": "ftp://host/a.csv"}, DataError, "give a local path, s3:// or gs://"),
    ({"output": "/proc/scored"}, InputError, "/proc/scored: cannot write there"),
]


@pytest.mark.parametrize(("settings", "error", "message"), REFUSED, ids=[message for _, _, message in REFUSED])
def test_bad_input_gets_one_line_before_anything_is_scored(score, settings, error, message: str, tmp_path: Path):
    with pytest.raises(error, match=message) as raised:
        score(**settings)
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "scored").exists()


def test_a_folder_with_other_files_is_not_written_into(score, tmp_path: Path):
    (tmp_path / "scored").mkdir()
    (tmp_path / "scored" / "thesis.tex").write_text("all of it")
    with pytest.raises(InputError, match="exists and holds no scoring job"):
        score()
    assert [path.name for path in (tmp_path / "scored").iterdir()] == ["thesis.tex"]


def test_a_second_process_cannot_score_into_the_same_folder(score, tmp_path: Path):
    with job._locked(Records(str(tmp_path / "scored"))), pytest.raises(InputError, match="another process is scoring"):
        score()


def test_a_score_file_has_the_keys_of_the_options(bert_serving, exported: Path, reviews: Path, tmp_path: Path):
    (tmp_path / "score.toml").write_text(
        f'model = "{exported}"\ninput = "reviews.csv"\noutput = "scored"\ntext = "review"\nrunner = "{HERE}"\n'
    )
    ended = bert_serving("score", "score.toml", "--id", "id", "--json")
    assert ended.status == 0, ended.err
    manifest = json.loads(ended.out)
    assert (manifest["rows"], manifest["failed"], manifest["plan"]["settings"]["id"]) == (100, 2, "id")
    assert bert_serving("score", "score.toml", "--id", "id").out.startswith("  Looking at model and input")
