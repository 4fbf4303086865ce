"""Apache Spark: answers of an export beside the rows of a DataFrame, by `mapInArrow`.

from bert_serving.spark import score_udf

answers = reviews.transform(score_udf("models/tiny", text="review"))
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pyarrow

from bert_serving.errors import InputError
from bert_serving.extras import naming_extras
from bert_serving.scoring.answers import Answer, answers_to, check_pairs
from bert_serving.scoring.model_files import ModelFiles, check_digest, fetched, find_model
from bert_serving.scoring.scorer import Scorer

with naming_extras("bert_serving.spark", "spark"):
    from pyspark import TaskContext
    from pyspark.sql import DataFrame, functions
    from pyspark.sql import types as spark_types

_TYPES = {
    "label": pyarrow.string(),
    "probability": pyarrow.float32(),
    "probabilities": pyarrow.map_(pyarrow.string(), pyarrow.float32()),
    "failure": pyarrow.string(),
    "model": pyarrow.string(),
    "version": pyarrow.int64(),
}
"""columns of the answers"""
_SPARK_TYPES = {
    "label": spark_types.StringType(),
    "probability": spark_types.FloatType(),
    "probabilities": spark_types.MapType(spark_types.StringType(), spark_types.FloatType()),
    "failure": spark_types.StringType(),
    "model": spark_types.StringType(),
    "version": spark_types.LongType(),
}
_MODELS_OF_A_PROCESS = 2


def score_udf(
    model: str,
    *,
    text: str = "text",
    text_pair: str | None = None,
    keep: Sequence[str] | None = None,
    batch_tokens: int = 4096,
) -> Callable[[DataFrame], DataFrame]:
    """A function for `DataFrame.transform` that scores a column of texts; a text that fails costs only itself.

    It adds the columns `label`, `probability`, `probabilities` (map of all labels, for regression `value`), `failure` (why a
    text was not scored, null if it was), `model` and `version`. Each Python worker process loads the model once, and takes as
    many threads as its task has processors (`spark.task.cpus`). Texts of an Arrow batch are sorted by length.

    Args:
        model: folder of an export, or of its versions, which all workers see under this path; with the extra beam also s3://
            and gs://.
        text: column of the texts.
        text_pair: column of the second texts, for a model of pairs.
        keep: columns beside the answers; None for all columns.
        batch_tokens: number of tokens of a batch, estimated from the texts' lengths.

    Returns:
        a function that raises InputError where a DataFrame lacks a column, or has one twice, of another type or with the name
        of an answer's.

    Raises:
        InputError, ExportError, DataError: there is no such export, or it takes pairs of texts and `text_pair` is None, or
            the other way round.

    ```python
    from pyspark.sql import SparkSession
    from bert_serving.spark import score_udf

    spark = SparkSession.builder.master("local[2]").getOrCreate()
    reviews = spark.createDataFrame([(1, "a good film"), (2, "")], "id int, review string")
    reviews.transform(score_udf("models/tiny", text="review", keep=["id"])).show()
    ```
    """
    files = find_model(model)
    check_pairs(files, text_pair)
    texts = (text,) if text_pair is None else (text, text_pair)

    def scored(frame: DataFrame) -> DataFrame:
        kept = list(frame.columns if keep is None else keep)
        _check_columns(frame, texts, kept)
        names = list(dict.fromkeys([*kept, *texts]))
        # By number: mapInArrow itself fails on names with a dot.
        columns = [functions.col(_quoted(name)).alias(str(number)) for number, name in enumerate(names)]
        scoring = _Scoring(files, [names.index(name) for name in texts], len(kept), batch_tokens)
        fields = [frame.schema[name] for name in kept]
        answers = [spark_types.StructField(name, kind) for name, kind in _SPARK_TYPES.items()]
        return frame.select(columns).mapInArrow(scoring, spark_types.StructType([*fields, *answers]))

    return scored


class _Scoring:
    """What travels to the workers, and scores the Arrow batches of a partition there."""

    def __init__(self, files: ModelFiles, texts: Sequence[int], kept: int, batch_tokens: int):
        """Takes the numbers of the columns with texts, and how many columns, from the first on, are kept."""
        self._files, self._texts, self._kept, self._batch_tokens = files, texts, kept, batch_tokens

    def __call__(self, batches: Iterator[pyarrow.RecordBatch]) -> Iterator[pyarrow.RecordBatch]:
        task = TaskContext.get()
        scorer = _loaded(self._files, self._batch_tokens, task.cpus() if task else None)
        for batch in batches:
            columns = [_cells(batch.column(number)) for number in self._texts]
            items = columns[0] if len(columns) == 1 else list(zip(*columns, strict=True))
            kept = {str(number): batch.column(number) for number in range(self._kept)}
            answers = _columns(answers_to(items, self._files, scorer), self._files)
            yield pyarrow.RecordBatch.from_pydict(kept | answers)


@functools.lru_cache(_MODELS_OF_A_PROCESS)
def _loaded(files: ModelFiles, batch_tokens: int, threads: int | None) -> Scorer:
    """The model in this worker process, which Spark keeps for further tasks (`spark.python.worker.reuse`)."""
    with fetched(files.path) as folder:
        check_digest(folder, files.digest)
        return Scorer.load(folder, batch_tokens=batch_tokens, threads=threads)


def _cells(column: pyarrow.Array) -> list[Any]:
    """Texts; one that is not UTF-8, which Spark allows, as bytes."""
    try:
        texts: list[Any] = column.to_pylist()
    except UnicodeDecodeError:
        return [_decoded(cell) for cell in column.cast(pyarrow.large_binary()).to_pylist()]
    return texts


def _decoded(cell: bytes | None) -> str | bytes | None:
    try:
        return None if cell is None else cell.decode()
    except UnicodeDecodeError:
        return cell


def _columns(answers: Sequence[Answer], files: ModelFiles) -> dict[str, pyarrow.Array]:
    names = files.labels or ("value",)
    values: dict[str, list[Any]] = {
        "label": [answer.label for answer in answers],
        "probability": [answer.probability for answer in answers],
        "probabilities": [
            None if answer.failure else list(zip(names, answer.probabilities, strict=True)) for answer in answers
        ],
        "failure": [answer.failure for answer in answers],
        "model": [files.name] * len(answers),
        "version": [files.version] * len(answers),
    }
    return {name: pyarrow.array(values[name], kind) for name, kind in _TYPES.items()}


def _check_columns(frame: DataFrame, texts: Sequence[str], kept: Sequence[str]) -> None:
    for name in dict.fromkeys([*texts, *kept]):
        count = frame.columns.count(name)
        if count != 1:
            there = "no such column" if count == 0 else "a column of this name is there twice"
            raise InputError(f"column {name!r}: {there}; the DataFrame has {', '.join(frame.columns)}")
    if len(set(kept)) < len(kept):
        raise InputError(f"keep names a column twice: {', '.join(kept)}; name each once")
    for field in frame.schema:
        if field.name in texts and not isinstance(field.dataType, spark_types.StringType):
            raise InputError(f"column {field.name!r}: expected strings, got {field.dataType.simpleString()}; cast it")
    # Spark does not tell names apart by case.
    taken = [name for name in kept if name.lower() in _TYPES]
    if taken:
        raise InputError(
            f"column {taken[0]!r}: is a column of the answers, too; rename it, or name the others with keep"
        )


def _quoted(name: str) -> str:
    return f"`{name.replace('`', '``')}`"
