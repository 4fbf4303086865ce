"""The labeled rows of a feature map: a run's own, or those of files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bert_serving.config import DataConfig, RunConfig
from bert_serving.contract import Head
from bert_serving.data.splits import Splits, load_splits
from bert_serving.errors import InputError

_TEST_FRACTION = 0.2
_SHOWN_FILES = 3


@dataclass(frozen=True)
class MapRows:
    """Which rows to read.

    Attributes:
        data: files and columns.
        seed: seed of the division into splits: the run's own seed for the run's own rows.
        drawn: names of the splits whose rows become points.
        drawn_name: description of the rows that become points.
        measured_name: description of the rows that the logistic regression is measured on.
    """

    data: DataConfig
    seed: int
    drawn: tuple[str, ...]
    drawn_name: str
    measured_name: str

    def load(self, max_rows: int | None = None) -> Splits:
        """Reads the rows.

        Args:
            max_rows: largest number of rows of each split, chosen by the seed; None for all.

        Raises:
            DataError: a file cannot be read or used, or `max_rows` is less than the number of
                labels.
        """
        splits = load_splits(self.data.model_copy(update={"max_train_rows": max_rows}), Head.SOFTMAX, self.seed)
        if max_rows is None:
            return splits
        random = np.random.default_rng(self.seed)
        fewer = {
            name: table.select(np.sort(random.choice(len(table), min(max_rows, len(table)), replace=False)))
            for name, table in splits.named().items()
        }
        return Splits(**fewer)


def map_rows(
    source: str,
    config: RunConfig | None,
    files: Sequence[Path],
    test_files: Sequence[Path],
    columns: Mapping[str, str | tuple[str, ...] | None],
    seed: int,
) -> MapRows:
    """Selects the rows: those of `files`, or the run's validation and test rows.

    Args:
        source: run folder or encoder, for messages.
        config: the run's configuration; None for an encoder.
        files: labeled text; a fifth of it is measured on if there are no `test_files`.
        test_files: rows to measure on.
        columns: columns "text", "text_pair" and "label"; None for the run's own, else the defaults.
        seed: seed of the division of `files`.

    Raises:
        InputError: an encoder without files, test files without files, or a run with a head of
            another kind.
    """
    if config is not None and config.head.kind not in (Head.SOFTMAX, Head.BINARY):
        raise InputError(
            f"{source}: the run has a {config.head.kind} head; a map needs one label for each row, of two or more"
        )
    changes = {name: column for name, column in columns.items() if column is not None}
    if files:
        own = {} if config is None else {name: getattr(config.data, name) for name in ("text", "text_pair", "label")}
        data = DataConfig(
            train=tuple(files), validation=tuple(test_files), validation_fraction=_TEST_FRACTION, **(own | changes)
        )
        measured = _shown(test_files) if test_files else f"{_TEST_FRACTION:.0%} of {_shown(files)}, kept apart"
        return MapRows(data, seed, ("train", "validation"), _shown([*files, *test_files]), measured)
    if config is None:
        raise InputError(f"{source}: an encoder has no rows of its own; give labeled text with --data")
    if test_files:
        raise InputError("--test needs --data; a run without --data is measured on its own rows")
    drawn = ("validation", "test") if config.data.test else ("validation",)
    data = config.data.model_copy(update=changes)
    return MapRows(
        data, config.training.seed, drawn, f"the run's {' and '.join(drawn)} rows", f"the run's {drawn[-1]} rows"
    )


def _shown(files: Sequence[Path]) -> str:
    return ", ".join(path.name for path in files[:_SHOWN_FILES]) + (" ..." if len(files) > _SHOWN_FILES else "")
