"""Settings of a scoring job: the options of `bert-serving score`, which are the keys of a score.toml."""

import os
import tomllib
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, field_validator, model_validator

from bert_serving.errors import RunFileError
from bert_serving.run_file import Positive, Table, parse_tables, tuple_of

DIRECT_RUNNER = "DirectRunner"
LOCAL_RUNNERS = (DIRECT_RUNNER, "FnApiRunner", "BundleBasedDirectRunner", "PrismRunner")
"""those whose workers see the files of this machine"""
RUNNERS = (*LOCAL_RUNNERS, "DataflowRunner", "FlinkRunner", "SparkRunner", "PortableRunner")
ROW = "row"
_ANSWER_COLUMNS = ("label", "probability", "probabilities", "value", "model", "version", "digest")


class OutputFormat(StrEnum):
    """Format of the files with the scores."""

    PARQUET = "parquet"
    JSON_LINES = "jsonl"
    CSV = "csv"


class ScoreSettings(Table):
    """What a scoring job reads, with which model, and what it writes.

    ```python
    from bert_serving.scoring.settings import ScoreSettings

    settings = ScoreSettings(model="models/tiny", input="reviews/*.parquet", output="scored")
    ```
    """

    model: str
    """folder of the export, or of its versions, of which the highest is used; also s3:// and gs://"""
    input: Annotated[tuple[str, ...], Field(min_length=1)]
    """files to score: paths or patterns such as `s3://bucket/*.parquet`"""
    output: str
    """folder to write; also s3:// and gs://"""
    text: str = "text"
    """column of the texts; lines of plain text have none"""
    text_pair: str | None = None
    """column of the second texts, for a model of pairs"""
    id: str | None = None
    """column that identifies a row; without it, rows have the key `FILE:NUMBER`"""
    keep: tuple[str, ...] = ()
    """columns of the input that are written beside the answer"""
    output_format: OutputFormat = OutputFormat.PARQUET
    """`parquet`, `jsonl` or `csv`"""
    all_probabilities: bool = False
    """write the probability of every label, in the order of the model's labels"""
    max_failed_rows: Annotated[int, Field(ge=0)] | None = None
    """end the job when more rows than this fail"""
    shard_rows: Positive | None = None
    """rows of a shard; without it, 20 shards for each worker process, of 1,000 to 50,000 rows"""
    batch_tokens: Positive = 4096
    """tokens of a batch, estimated from the length of the texts"""
    workers: Positive | None = None
    """worker processes of the DirectRunner; without it, one for each processor"""
    runner: str = DIRECT_RUNNER
    """Beam's runner: DirectRunner, or DataflowRunner, FlinkRunner, SparkRunner, PortableRunner"""
    runner_options: tuple[str, ...] = ()
    """further options of Beam's pipeline, as NAME=VALUE or NAME"""
    price_per_core_hour: Annotated[float, Field(ge=0)] | None = None
    """price of one processor core for one hour, for the cost of 100 million texts"""

    _one_input = field_validator("input", "keep", "runner_options", mode="before")(tuple_of)

    @model_validator(mode="after")
    def _check(self) -> "ScoreSettings":
        """Columns of the output have different names, and options of workers go with the runner that has them."""
        if len(set(self.keep)) < len(self.keep):
            raise ValueError(f"keep names a column twice: {', '.join(self.keep)}; name each once")
        for setting, names in (("id", (self.id,)), ("keep", self.keep)):
            taken = [
                name for name in names if name in (*_ANSWER_COLUMNS, ROW) or (setting == "keep" and name == self.id)
            ]
            if taken:
                raise ValueError(
                    f"{setting} names {taken[0]!r}, which is a column of the output already; rename it in the input or leave it out"
                )
        if self.workers is not None and self.runner != DIRECT_RUNNER:
            raise ValueError(
                f"workers is for the {DIRECT_RUNNER}; set the number of workers of {self.runner} by runner_options"
            )
        return self

    @property
    def key_column(self) -> str:
        """Name of the output's first column."""
        return ROW if self.id is None else self.id

    @property
    def processes(self) -> int:
        """Number of worker processes of the DirectRunner."""
        return self.workers or len(os.sched_getaffinity(0))

    def decisive(self) -> dict[str, Any]:
        """The settings that decide what the outputs hold: a job with other ones is another job."""
        names = {"input", "text", "text_pair", "id", "keep", "output_format", "all_probabilities", "batch_tokens"}
        return self.model_dump(mode="json", include=names)


def read_settings(path: Path | None, given: Mapping[str, Any]) -> ScoreSettings:
    """The settings of a score.toml, of which those that are given (not None, not empty) stand in place.

    Args:
        path: the file, whose relative paths are relative to it; None for no file.
        given: settings by name.

    Raises:
        RunFileError: the file cannot be read, or a key is missing, unknown or wrong.
    """
    values: dict[str, Any] = {}
    if path is not None:
        values = _located(_read_toml(path), path.resolve().parent)
    values |= {name: value for name, value in given.items() if value not in (None, (), [])}
    return parse_tables(values, ScoreSettings, source="score" if path is None else str(path))


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise RunFileError(str(path), [f"cannot read it: {error.strerror or error}; check the path"]) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RunFileError(str(path), [f"is not valid TOML: {error}"]) from None


def _located(values: dict[str, Any], base: Path) -> dict[str, Any]:
    """The values with relative paths below the folder of their file."""
    for name in ("model", "input", "output"):
        value = values.get(name)
        if isinstance(value, str):
            values[name] = _below(base, value)
        elif isinstance(value, list) and all(isinstance(item, str) for item in value):
            values[name] = [_below(base, item) for item in value]
    return values


def _below(base: Path, path: str) -> str:
    return path if "://" in path else str(base / Path(path).expanduser())
