"""The plan of a job: its files, its shards, and what tells it from another job. It is made once and kept with the outputs."""

import dataclasses
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

from bert_serving.contract import Head
from bert_serving.data.reading import Reading
from bert_serving.data.separated import Dialect
from bert_serving.errors import DataError
from bert_serving.scoring import storage
from bert_serving.scoring.input_files import InputFile, Kind, Piece, ShardSize, kind_of, look_at
from bert_serving.scoring.model_files import ModelFiles
from bert_serving.scoring.rows import Columns
from bert_serving.scoring.settings import ScoreSettings

FORMAT = 1


@dataclass(frozen=True)
class Shard:
    """A part of the job that is done as a whole.

    Attributes:
        number: from 0.
        file: number of its file.
        piece: its rows.
    """

    number: int
    file: int
    piece: Piece


@dataclass(frozen=True)
class Plan:
    """What a job does.

    Attributes:
        model: the model.
        settings: those that decide what the outputs hold.
        files: the input files.
        shards: the shards, in the order of files and rows.
    """

    model: ModelFiles
    settings: dict[str, Any]
    files: tuple[InputFile, ...]
    shards: tuple[Shard, ...]

    @property
    def rows(self) -> int:
        """Rows of all files."""
        return sum(file.rows for file in self.files)

    @property
    def columns(self) -> Columns:
        """The columns that are read."""
        return columns_of(self.settings)

    def difference(self, settings: ScoreSettings, model: ModelFiles, found: Sequence[storage.FileStatus]) -> str:
        """What makes settings, model and files another job than this one; empty if nothing does."""
        decisive = settings.decisive()
        keys = [key for key, value in decisive.items() if self.settings.get(key) != value]
        if keys:
            return f"other settings ({', '.join(keys)})"
        if (model.name, model.version, model.digest) != (self.model.name, self.model.version, self.model.digest):
            return f"another model ({self.model.name} version {self.model.version}, {self.model.digest[:12]})"
        before = [(file.path, file.size, file.changed) for file in self.files]
        now = [(file.path, file.size, file.changed) for file in found]
        return "" if before == now else "other input files, or the files changed since"

    def to_json(self) -> bytes:
        """The plan as JSON."""
        return (json.dumps({"format": FORMAT, **dataclasses.asdict(self)}, ensure_ascii=False) + "\n").encode()

    @classmethod
    def parse(cls, content: bytes, path: str) -> Self:
        """Reads a plan.

        Raises:
            DataError: it is damaged, or of another version of this project.
        """
        try:
            values = json.loads(content)
            if values.pop("format") != FORMAT:
                raise DataError(f"{path}: was written by another version of bert-serving; score into another folder")
            return cls(
                _model(values["model"]),
                values["settings"],
                tuple(_file(each) for each in values["files"]),
                tuple(Shard(each["number"], each["file"], Piece(**each["piece"])) for each in values["shards"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{path}: damaged: {error!r}; remove the output's folder and score anew") from None


def columns_of(settings: dict[str, Any]) -> Columns:
    """The columns that settings name."""
    return Columns(settings["text"], settings["text_pair"], settings["id"], tuple(settings["keep"]))


def find_inputs(settings: ScoreSettings) -> list[storage.FileStatus]:
    """The input files, each once.

    Raises:
        DataError: a pattern matches nothing, or a file is of an unsupported kind.
    """
    found: dict[str, storage.FileStatus] = {}
    for pattern in settings.input:
        found |= {status.path: status for status in storage.find_files(pattern)}
    for path in found:
        kind_of(path)
    return list(found.values())


def make_plan(
    settings: ScoreSettings,
    model: ModelFiles,
    found: Sequence[storage.FileStatus],
    reading: Reading,
    progress: Callable[[int, int], object] = lambda _done, _total: None,
) -> Plan:
    """Looks at every input file and divides it into shards.

    Args:
        settings: of the job.
        model: the model.
        found: the input files.
        reading: is told what was repaired.
        progress: called with the bytes of the files looked at, and of all.

    Raises:
        InputError: the model takes pairs of texts and there are none, or the other way round.
        DataError: a file is damaged or lacks a column, or there is no row at all.
    """
    columns = columns_of(settings.decisive())
    size = ShardSize(settings.shard_rows, settings.processes)
    files: list[InputFile] = []
    shards: list[Shard] = []
    total, done = sum(status.size for status in found), 0
    for status in found:
        look = look_at(status, columns.names, size)
        reading.add(look.reading)
        shards += [Shard(len(shards) + number, len(files), piece) for number, piece in enumerate(look.pieces)]
        files.append(look.file)
        done += status.size
        progress(done, total)
    plan = Plan(model, settings.decisive(), tuple(files), tuple(shards))
    if not plan.rows:
        raise DataError(f"{', '.join(settings.input)}: no rows; there is nothing to score")
    return plan


def _model(values: dict[str, Any]) -> ModelFiles:
    # Plans of earlier versions have no thresholds.
    tuples = {"labels": tuple(values["labels"]), "thresholds": tuple(values.get("thresholds", ()))}
    return ModelFiles(**{**values, **tuples, "head": Head(values["head"])})


def _file(values: dict[str, Any]) -> InputFile:
    dialect = values["dialect"]
    return InputFile(
        **{
            **values,
            "kind": Kind(values["kind"]),
            "columns": tuple(values["columns"]),
            "dialect": None if dialect is None else Dialect(**dialect),
        }
    )
