"""A search for better values of a run file's keys."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bert_serving.api.progress import observer_of
from bert_serving.api.run import config_of
from bert_serving.config import RunConfig
from bert_serving.extras import require
from bert_serving.observer import Observer
from bert_serving.search_space import check_overrides
from bert_serving.tuning.result import Tuning

__all__ = ["Tuning", "tune"]

# ruff: noqa: PLC0415
# TensorFlow is imported when something needs it.


def tune(
    source: str | os.PathLike[str] | RunConfig | Mapping[str, Any],
    out: str | os.PathLike[str] | None = None,
    *,
    trials: int = 20,
    storage: str | None = None,
    overrides: Sequence[str] = (),
    progress: bool | Observer | None = None,
) -> Tuning:
    """Searches a run file's keys for the best score on the validation rows; test rows are not read.

    The table `tune` of the run file has the search space; without it learning rate, epochs, batch size, dropout and warmup are
    searched. The same call continues an interrupted search.

    Args:
        source: path of a run file (TOML), its content as a dict (paths are relative to the working folder), or a `RunConfig`.
        out: folder to write; None for tuning/<name of the run file>, or tuning/<export.name>.
        trials: how many there shall be in all, those of earlier calls included.
        storage: Optuna's storage, an address of SQLAlchemy such as "sqlite:///study.db"; None for study.db in `out`.
        overrides: keys that replace those of the run file, such as "data.max_train_rows=1000".
        progress: whether to print the progress, or an observer; None prints it in a notebook and on a terminal.

    Raises:
        InputError: the extra `tune` is not installed, or the storage cannot be opened.
        RunFileError: the run file or its search space is wrong; names every problem.
        RunFolderError: `out` holds a run, or a search of another run file.
        DataError: the data cannot be read or used.
        EncoderError, SourceError: the encoder cannot be loaded or fetched.
        TrainingError: all trials failed.

    ```python
    import bert_serving as bs

    tuning = bs.tune("tiny.toml", out="tuning/another", trials=1)
    print(tuning.best["score"], tuning.best["values"])
    ```
    """
    require("searches", ("optuna", "sqlalchemy"), "tune")
    name, config = config_of(source, overrides)
    check_overrides(config.tune.space, overrides)
    observer = observer_of(progress)
    with observer.stage("Starting TensorFlow"):
        from bert_serving.tuning import study
    folder = Path("tuning") / name if out is None else Path(out)
    try:
        return study.tune(config, folder, trials=trials, storage=storage, observer=observer)
    finally:
        observer.close()
