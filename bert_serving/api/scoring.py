"""Scoring of many files from Python."""

import os
from collections.abc import Sequence
from typing import Any

from bert_serving.api.export import Export
from bert_serving.api.progress import observer_of
from bert_serving.beam.job import ScoredFiles, run_job
from bert_serving.observer import Observer
from bert_serving.scoring.settings import read_settings


def score(
    model: Export | str | os.PathLike[str],
    *,
    input: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str],
    text: str = "text",
    text_pair: str | None = None,
    id: str | None = None,
    keep: Sequence[str] = (),
    progress: bool | Observer | None = None,
    **settings: Any,
) -> ScoredFiles:
    """Scores the texts of many files on Apache Beam; after an interruption, the same call continues.

    Every row of the input ends in exactly one output file, or with its reason in the folder `_failed`.

    Args:
        model: an `Export`, its folder, or the folder of its versions, of which the highest is used; also s3:// and gs://.
        input: files or patterns: Parquet, CSV, TSV, JSON lines, text lines, TFRecord of tf.Example; also .gz, s3:// and gs://.
        output: new folder for the answers.
        text: column of the texts.
        text_pair: column of the second texts, for a model of pairs.
        id: column that identifies a row; None for the key FILE:NUMBER.
        keep: columns of the input to write beside the answer.
        progress: whether to print the progress, or an observer; None prints it in a notebook and on a terminal.
        settings: further keys of a score.toml, such as `all_probabilities`, `output_format`, `max_failed_rows`, `workers`,
            `runner` and `runner_options`.

    Raises:
        RunFileError: a setting is unknown or wrong.
        InputError, DataError, ExportError: model, input or output is wrong; nothing was scored.
        ScoringError: the job ended before all rows were scored; the same call continues.

    ```python
    import bert_serving as bs

    done = bs.score("models/tiny", input="reviews.csv", text="review", output="scored")
    print(done.rows, done.failed, done.texts_per_second)
    ```
    """
    files = [input] if isinstance(input, str | os.PathLike) else list(input)
    given = {
        "model": str(model.path) if isinstance(model, Export) else os.fspath(model),
        "input": tuple(os.fspath(file) for file in files),
        "output": os.fspath(output),
        "text": text,
        "text_pair": text_pair,
        "id": id,
        "keep": (keep,) if isinstance(keep, str) else tuple(keep),
        **settings,
    }
    return run_job(read_settings(None, given), observer_of(progress))
