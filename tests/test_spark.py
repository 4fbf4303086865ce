"""Spark on two processors of this machine: every row has its answer, and a row that fails costs only itself."""

import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from support.paths import ROOT
from support.runs import in_process_verification
from support.tiny import write_run_file, write_tsv_file

from bert_serving.contract import Head
from bert_serving.errors import ExportError, InputError
from bert_serving.scoring.answers import Answer
from bert_serving.scoring.model_files import ModelFiles
from bert_serving.scoring.scorer import Scorer

pyspark = pytest.importorskip("pyspark", reason="needs pyspark: pip install 'bert-serving[spark]'")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not shutil.which("java"), reason="needs java, 17 or later")]

ROWS = 20_000


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory):
    from pyspark import SparkContext
    from pyspark.sql import SparkSession

    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PYSPARK_PYTHON", sys.executable)
        environment.setenv("PYTHONPATH", str(ROOT))
        environment.setenv("SPARK_LOCAL_IP", "127.0.0.1")
        builder = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
        session = builder.config("spark.local.dir", str(tmp_path_factory.mktemp("spark"))).getOrCreate()
        session.sparkContext.setLogLevel("ERROR")
        yield session
        session.stop()
        # Java would run on until the tests end.
        gateway = SparkContext._gateway
        gateway.shutdown()
        gateway.proc.stdin.close()
        gateway.proc.wait(60)
        SparkContext._gateway = SparkContext._jvm = None


def texts_of(rows: int) -> list[str | None]:
    """Texts of many lengths; of a hundred one is missing, and one is blank."""
    random = np.random.default_rng(4)
    words = ["good", "bad", "film", "bike", "the", "is", "not", "very", "wheel", "unknown"]
    texts: list[str | None] = [" ".join(random.choice(words, random.integers(1, 40))) for _ in range(rows)]
    texts[::100] = [None] * len(texts[::100])
    texts[7::100] = ["  "] * len(texts[7::100])
    return texts


def test_every_row_has_the_answer_of_one_process(spark, exported: Path, tmp_path: Path):
    from bert_serving.spark import score_udf

    texts = texts_of(ROWS)
    rows = spark.createDataFrame(list(enumerate(texts)), "id long, review string").repartition(8)
    scored = rows.transform(score_udf(str(exported.parent), text="review", keep=["id"]))
    scored.write.parquet(str(tmp_path / "scored"))
    answers = spark.read.parquet(str(tmp_path / "scored")).toArrow().sort_by("id").to_pydict()

    assert answers["id"] == list(range(ROWS))
    good = [number for number, text in enumerate(texts) if text and text.strip()]
    assert len(good) == ROWS * 98 // 100
    scorer = Scorer.load(exported)
    expected = scorer.score([texts[number] for number in good]).values
    labels = scorer.manifest.labels
    found = [dict(answers["probabilities"][number]) for number in good]
    assert np.abs(np.array([[row[label] for label in labels] for row in found]) - expected).max() <= 2e-6
    assert all(
        answers["label"][number] in row
        and answers["probability"][number] == max(row.values()) == row[answers["label"][number]]
        for number, row in zip(good, found, strict=True)
    )
    failed = {number: reason for number, reason in enumerate(answers["failure"]) if reason is not None}
    assert failed == {
        number: "expected a string, got None" if text is None else "has no text"
        for number, text in enumerate(texts)
        if not (text and text.strip())
    }
    assert {answers[name][number] for name in ("label", "probability", "probabilities") for number in failed} == {None}
    assert set(answers["model"]) == {"tiny"}
    assert set(answers["version"]) == {1}


def test_a_worker_process_loads_the_model_once(spark, exported: Path):
    from bert_serving.spark import score_udf

    rows = spark.range(800).selectExpr("id", "'good film' as text").repartition(8)
    assert rows.transform(score_udf(str(exported))).count() == 800

    def loads(batches):
        import pyarrow

        from bert_serving.spark import _loaded

        for _ in batches:
            pass
        told = _loaded.cache_info()
        yield pyarrow.RecordBatch.from_pydict({"process": [os.getpid()], "loads": [told.misses], "uses": [told.hits]})

    told = rows.mapInArrow(loads, "process long, loads long, uses long").collect()
    # A process that Spark has started since has none.
    assert {row.loads for row in told} <= {0, 1}
    # Eight tasks on two processors.
    assert max(row.uses for row in told) >= 3


ROW = "select 1 as id, 'good film' as text"


def test_all_columns_are_kept_unless_some_are_named(spark, exported: Path):
    from bert_serving.spark import score_udf

    frame = spark.sql(
        "select 1 as id, 'good film' as `the.text`, array(1, 2) as `a``b`, cast(X'FF41' as string) as raw"
    )
    answers = ["label", "probability", "probabilities", "failure", "model", "version"]
    whole = frame.transform(score_udf(str(exported), text="the.text"))
    assert whole.columns == [*frame.columns, *answers]
    assert whole.schema[:4] == frame.schema
    row = whole.drop("raw").first()
    assert (row["id"], row["the.text"], row["a`b"], row["failure"]) == (1, "good film", [1, 2], None)
    none = frame.transform(score_udf(str(exported), text="the.text", keep=[]))
    assert none.columns == answers
    assert none.first().label == row.label


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("cast(X'FF41' as string)", "is not valid UTF-8 at byte 0"),
        ("cast(null as string)", "expected a string, got None"),
        ("'\\n\\t'", "has no text"),
    ],
)
def test_a_text_that_fails_costs_only_itself(spark, exported: Path, text: str, reason: str):
    from bert_serving.spark import score_udf

    frame = spark.sql(f"{ROW} union all select 2 as id, {text} as text union all select 3 as id, '' as text").coalesce(
        1
    )
    rows = frame.transform(score_udf(str(exported), keep=["id"])).orderBy("id").collect()
    assert [(row.id, row.failure) for row in rows] == [(1, None), (2, reason), (3, "has no text")]


COLUMNS = {
    "classes": (
        ("a", "b"),
        Answer("b", 0.75, (0.25, 0.75)),
        {"label": "b", "probability": 0.75, "probabilities": [("a", 0.25), ("b", 0.75)], "failure": None},
    ),
    "several labels": (
        ("a", "b"),
        Answer("a,b", None, (0.5, 0.75)),
        {"label": "a,b", "probability": None, "probabilities": [("a", 0.5), ("b", 0.75)], "failure": None},
    ),
    "a number": (
        (),
        Answer(None, None, (2.5,)),
        {"label": None, "probability": None, "probabilities": [("value", 2.5)], "failure": None},
    ),
    "a failure": (
        ("a", "b"),
        Answer(None, None, (), "has no text"),
        {"label": None, "probability": None, "probabilities": None, "failure": "has no text"},
    ),
}


@pytest.mark.parametrize("case", list(COLUMNS))
def test_an_answer_has_its_columns(case: str):
    from bert_serving.spark import _columns

    labels, answer, expected = COLUMNS[case]
    columns = _columns([answer], ModelFiles("models/tiny/3", "tiny", 3, "", labels, Head.SOFTMAX, False, 32))
    assert {name: column.to_pylist()[0] for name, column in columns.items()} == {
        **expected,
        "model": "tiny",
        "version": 3,
    }


def test_an_empty_frame_has_no_answers(spark, exported: Path):
    from bert_serving.spark import score_udf

    assert spark.sql(f"{ROW} where 1 = 2").transform(score_udf(str(exported))).count() == 0


def test_a_regression_of_pairs_has_its_number(spark, encoder_folder: Path, rows, tmp_path: Path):
    from bert_serving.config import load_run_file
    from bert_serving.saved_model.export import export_run
    from bert_serving.saved_model.options import ExportOptions
    from bert_serving.spark import score_udf
    from bert_serving.training.run import train

    run_file = write_run_file(tmp_path, encoder_folder, rows, epochs=1)
    for name, part in (("train", rows[:40]), ("validation", rows[40:50]), ("test", rows[50:])):
        triples = [(text, str(len(text)), text[::2]) for text, _ in part]
        write_tsv_file(tmp_path / f"{name}.tsv", triples, ("text", "label", "second"))
    trained = train(load_run_file(run_file, ["head.kind=regression", "data.text_pair=second"]), tmp_path / "run")
    with in_process_verification():
        model = export_run(trained.run, ExportOptions(tmp_path / "models", "pairs"))

    with pytest.raises(InputError, match="takes pairs of texts; name the second texts with text_pair"):
        score_udf(str(model))
    pairs = [("good film", "the bike"), ("bad", None), ("very bad wheel", "film")]
    frame = spark.createDataFrame(
        [(number, *pair) for number, pair in enumerate(pairs)], "id int, text string, other string"
    )
    found = frame.coalesce(1).transform(score_udf(str(model), text_pair="other")).orderBy("id").collect()
    expected = Scorer.load(model).score(["good film", "very bad wheel"], ["the bike", "film"]).values[:, 0]
    numbers = [row.probabilities["value"] for row in found if row.failure is None]
    assert numbers == pytest.approx(expected.tolist(), abs=2e-6)
    assert [row.failure for row in found] == [None, "expected a string, got None", None]
    assert {(row.label, row.probability) for row in found} == {(None, None)}


MISTAKES = {
    "no such column": ({"text": "review"}, ROW, "'review': no such column; the DataFrame has id, text"),
    "no such kept column": ({"keep": ["key"]}, ROW, "'key': no such column"),
    "a text twice": ({}, "select '' as text, '' as text", "'text': a column of this name is there twice"),
    "a column kept twice": ({"keep": ["id", "id"]}, ROW, "keep names a column twice: id, id"),
    "numbers": ({"text": "id"}, ROW, "'id': expected strings, got int; cast it"),
    "the name of an answer's": ({}, f"{ROW}, 1 as Label", "'Label': is a column of the answers, too"),
}


@pytest.mark.parametrize("case", list(MISTAKES))
def test_a_mistake_is_told_before_anything_is_scored(spark, exported: Path, case: str):
    from bert_serving.spark import score_udf

    settings, frame, message = MISTAKES[case]
    with pytest.raises(InputError, match=r"^column|^keep") as told:
        spark.sql(frame).transform(score_udf(str(exported), **settings))
    assert message in str(told.value)


def test_a_model_that_is_missing_or_takes_no_pairs_is_refused(exported: Path, tmp_path: Path):
    from bert_serving.spark import score_udf

    with pytest.raises(ExportError, match="no such folder"):
        score_udf(str(tmp_path / "models"))
    with pytest.raises(InputError, match="takes single texts; leave out text_pair"):
        score_udf(str(exported), text_pair="other")


def test_a_model_that_changed_ends_the_job(spark, exported: Path, tmp_path: Path):
    from bert_serving.spark import score_udf

    model = shutil.copytree(exported, tmp_path / "tiny" / "1")
    scored = spark.sql(ROW).transform(score_udf(str(model)))
    (model / "assets" / "labels.txt").write_text("other\nlabels\n", "utf-8")
    with pytest.raises(pyspark.errors.PythonException, match="its files changed since the job began"):
        scored.collect()
