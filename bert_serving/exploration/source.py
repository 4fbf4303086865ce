"""The source of an exploration: a run file, or labeled text with settings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bert_serving.config import EncoderConfig, RunConfig, load_run_file, parse_run_config
from bert_serving.contract import Head
from bert_serving.data.splits import load_splits, resolve_labels
from bert_serving.data.table import read_table
from bert_serving.data.windows import plan_windows
from bert_serving.errors import InputError
from bert_serving.exploration.explore import TRAIN, ExplorationInput
from bert_serving.observer import Observer

if TYPE_CHECKING:
    from bert_serving.text.preprocessing import Preprocessing

DEFAULT_ENCODER = "all-MiniLM-L6-v2"
_RUN_FILE_SUFFIX = ".toml"


@dataclass(frozen=True)
class ExplorationSource:
    """What to explore, and with which tokenizer.

    Attributes:
        path: a run file (.toml), or labeled text.
        overrides: changes of the run file's keys, such as "data.max_train_rows=100".
        encoder: name or path of the encoder whose tokenizer is used; None for the run file's, else
            `DEFAULT_ENCODER`.
        sequence_length: number of tokens at which texts are truncated; None for the run file's,
            else 128.
        columns: columns "text", "text_pair" and "label" of labeled text, or several for "label"; missing or None
            for the defaults.
        head: what the labels of labeled text are; None for softmax, for several label columns multilabel.
    """

    path: Path
    overrides: Sequence[str] = ()
    encoder: str | None = None
    sequence_length: int | None = None
    columns: Mapping[str, str | tuple[str, ...] | None] = field(default_factory=dict)
    head: Head | None = None

    @property
    def is_run_file(self) -> bool:
        """Whether the source is a run file."""
        return self.path.suffix == _RUN_FILE_SUFFIX

    def config(self) -> RunConfig:
        """The run file, or the equivalent of one for labeled text.

        Raises:
            InputError: settings for labeled text are given with a run file, or the other way round.
            RunFileError: the run file is wrong.
        """
        config = self._run_file() if self.is_run_file else self._labeled_text()
        changes: dict[str, Any] = {}
        if self.encoder is not None:
            path = Path(self.encoder).expanduser()
            is_path = path.exists()
            changes |= {"name": None if is_path else self.encoder, "path": path if is_path else None}
            changes["preprocessing"] = None
        if self.sequence_length is not None:
            changes["sequence_length"] = self.sequence_length
        return config.model_copy(update={"encoder": config.encoder.model_copy(update=changes)})

    def material(self, config: RunConfig) -> ExplorationInput:
        """Reads the rows: all splits of a run file; labeled text as one table.

        Args:
            config: the source's `config`.

        Raises:
            DataError: a file cannot be read or used.
        """
        head, seed = config.head.kind, config.training.seed
        splits = load_splits(config.data, head, seed)
        tables = splits.named() if self.is_run_file else {TRAIN: read_table(config.data.train, config.data, head)}
        labels = resolve_labels(splits, config.data, head)
        length = config.encoder.sequence_length
        windows = plan_windows(config.data, length)
        reach = length if windows is None else windows.reach
        return ExplorationInput(tables, splits, labels, head, reach, seed, config.data.long_texts)

    def _run_file(self) -> RunConfig:
        for name, value in self.columns.items():
            if value is not None:
                raise InputError(
                    f"{self.path}: --{name.replace('_', '-')} is for labeled text; "
                    f"with a run file give --set data.{name}=..."
                )
        if self.head is not None:
            raise InputError(f"{self.path}: --head is for labeled text; with a run file give --set head.kind=...")
        return load_run_file(self.path, self.overrides)

    def _labeled_text(self) -> RunConfig:
        if self.overrides:
            raise InputError(f"{self.path}: --set is for a run file (.toml); use the options for labeled text instead")
        columns = {name: value for name, value in self.columns.items() if value is not None}
        head = self.head or (Head.MULTILABEL if isinstance(columns.get("label"), tuple) else Head.SOFTMAX)
        tables = {
            "data": {"train": (self.path,), **columns},
            "encoder": {"name": DEFAULT_ENCODER},
            "head": {"kind": head},
        }
        return parse_run_config(tables, source=str(self.path))


def encoder_name(encoder: EncoderConfig) -> str:
    """An encoder's name, or that of its folder."""
    return encoder.name or Path(encoder.path or "").resolve().name


def load_tokenizer(encoder: EncoderConfig, observer: Observer) -> "Preprocessing":
    """Loads an encoder's preprocessing; fetches the encoder if it is not cached.

    Raises:
        EncoderError, SourceError: the encoder cannot be loaded or fetched.
    """
    from bert_serving.encoders.lookup import find_encoder_folder  # noqa: PLC0415  imports TensorFlow
    from bert_serving.text.preprocessing import load_preprocessing  # noqa: PLC0415  with the line above

    folder = find_encoder_folder(encoder, passed_over=observer.note, progress=observer.download)
    return load_preprocessing(folder.preprocessing)
