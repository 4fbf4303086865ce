"""The run folder: everything about one training run, enough to resume it, evaluate it and export it.

run.toml          the run file with every key resolved
run.json          encoder, data digests, versions
labels.txt        labels in the order of the outputs
encoder.json      architecture of the encoder (when it was rebuilt as a Keras network)
preprocessing/    the preprocessing SavedModel
checkpoints/      one folder for each epoch that may still be needed; removed when the run is complete
weights/          the best epoch's weights; present once training is complete
history.json      one row for each epoch
average.json      validation scores of the averaged weights; only with training.average_last_epochs
audit.json        statistics and warnings of the data audit
metrics.json      scores on validation and test data, and of the baselines, as training left the model
thresholds.json   the fitted decision thresholds; only with head.thresholds = "fitted"
calibration.json  the fitted temperature scaling; only after `bert-serving calibrate`
seeds.json        scores of several seeds, and seeds/ with a run folder for each; only with `train --seeds`
pictures/         PNG files
"""

import contextlib
import json
import math
import re
import shutil
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock

from bert_serving.config import RunConfig, parse_run_config
from bert_serving.contract import (
    LABELS_FILE,
    RUN_FACTS_FILE,
    RUN_FILE,
    RUN_WEIGHTS_FOLDER,
    Scaling,
    Thresholds,
    labels_of,
    labels_text,
)
from bert_serving.errors import RunFolderError
from bert_serving.evaluation.chance import Chance, compare_with_chance
from bert_serving.io.files import TEMPORARY, whole_folder, write_whole
from bert_serving.run_file import dump_run_file

LOCK = ".lock"
HISTORY = "history.json"
AVERAGE = "average.json"
AUDIT = "audit.json"
METRICS = "metrics.json"
CALIBRATION = "calibration.json"
SEEDS = "seeds.json"
THRESHOLDS = "thresholds.json"
PREPROCESSING = "preprocessing"
_ENCODER = "encoder.json"
_CHECKPOINTS = "checkpoints"
_PICTURES = "pictures"
_EPOCH = re.compile(r"epoch_\d{3,}")


@dataclass(frozen=True)
class RunFolder:
    """A run folder on disk."""

    path: Path

    # === Paths ===

    @property
    def weights(self) -> Path:
        """The best epoch's weights by variable name, a safetensors file."""
        return self.path / RUN_WEIGHTS_FOLDER / "model.safetensors"

    @property
    def preprocessing(self) -> Path:
        """The preprocessing SavedModel."""
        return self.path / PREPROCESSING

    @property
    def pictures(self) -> Path:
        """Folder of PNG files."""
        return self.path / _PICTURES

    @property
    def description(self) -> Path:
        """Architecture of the encoder; absent when it is used as a `hub.KerasLayer`."""
        return self.path / _ENCODER

    @property
    def calibration(self) -> Path:
        """The fitted scaling; absent for a run that was not calibrated."""
        return self.path / CALIBRATION

    @property
    def is_started(self) -> bool:
        """Whether the folder holds a run, complete or not."""
        return (self.path / RUN_FILE).is_file()

    @property
    def is_complete(self) -> bool:
        """Whether training is complete."""
        return self.weights.is_file()

    def check_complete(self, *names: str) -> None:
        """Checks that training is complete, and that the files of these names exist, too.

        Raises:
            RunFolderError: something is missing.
        """
        for path in (self.weights.parent, *(self.path / name for name in names)):
            if not path.exists():
                raise RunFolderError(
                    f"{self.path}: training is not complete ({path.name} is missing); go on with train --resume"
                )

    # === Reading ===

    def config(self) -> RunConfig:
        """The resolved run file.

        Raises:
            RunFolderError: the folder is not a run folder.
            RunFileError: a key of its run file is wrong.
        """
        path = self.path / RUN_FILE
        try:
            return parse_run_config(tomllib.loads(path.read_text("utf-8")), source=str(path))
        except OSError:
            raise RunFolderError(
                f"{self.path}: not a run folder ({RUN_FILE} is missing); give the folder that train wrote"
            ) from None
        except tomllib.TOMLDecodeError as error:
            raise RunFolderError(f"{path}: damaged: {error}; train again") from None

    def labels(self) -> tuple[str, ...]:
        """Labels in the order of the outputs."""
        return labels_of(self._read_bytes(LABELS_FILE))

    def facts(self) -> dict[str, Any]:
        """What run.json holds: encoder, number of rows and digests of the data, versions."""
        facts: dict[str, Any] = self.read_json(RUN_FACTS_FILE)
        return facts

    def read_json(self, name: str) -> Any:
        """Reads a JSON file of the folder, such as `METRICS`.

        Raises:
            RunFolderError: it is missing or damaged.
        """
        try:
            return json.loads(self._read(name))
        except ValueError as error:
            raise RunFolderError(f"{self.path / name}: damaged: {error}; train again") from None

    def scaling(self) -> Scaling:
        """The temperature scaling of the logits; that of a run that was not calibrated changes nothing.

        Raises:
            RunFolderError: calibration.json is damaged.
        """
        if not self.calibration.exists():
            return Scaling()
        try:
            values = self.read_json(CALIBRATION)
            numbers = float(values["temperature"]), float(values.get("exponent", 1.0))
        except (AttributeError, KeyError, TypeError, ValueError, RunFolderError):
            numbers = math.nan, math.nan
        if not all(math.isfinite(number) and number > 0 for number in numbers):
            raise RunFolderError(
                f"{self.calibration}: damaged: holds no temperature over 0; calibrate again or remove it"
            )
        return Scaling(*numbers)

    def thresholds(self) -> Thresholds:
        """The fitted decision thresholds; () for a run without them, or where they were no better than none.

        They are limits of probabilities, so that a calibrated run has others.

        Raises:
            RunFolderError: thresholds.json is damaged, or calibration.json has no thresholds in its place.
        """
        if not (self.path / THRESHOLDS).exists():
            return ()
        is_calibrated = self.calibration.exists()
        path = self.calibration if is_calibrated else self.path / THRESHOLDS
        try:
            values = self.read_json(path.name)
            fit = values["thresholds"] if is_calibrated else values
            thresholds = tuple(float(each["threshold"]) for each in fit["labels"])
            names = tuple(each["label"] for each in fit["labels"])
            is_kept = bool(fit["kept"])
        except (AttributeError, KeyError, TypeError, ValueError, RunFolderError):
            thresholds, names, is_kept = (), (), True
        if not thresholds or names != self.labels() or not all(0 < threshold < 1 for threshold in thresholds):
            remedy = "calibrate again or remove it" if is_calibrated else "train again"
            raise RunFolderError(f"{path}: damaged: holds no thresholds of this run's labels; {remedy}")
        return thresholds if is_kept else ()

    def chance(self) -> tuple[str, Chance] | None:
        """The split that the run was measured on, and whether its model is better than chance there; None before.

        Raises:
            RunFolderError: a file is missing or damaged.
        """
        if not (self.path / METRICS).exists():
            return None
        metrics = self.read_json(METRICS)
        split = "test" if "test" in metrics else "validation"
        try:
            return split, compare_with_chance(self.config().head.kind, self.labels(), metrics[split])
        except (KeyError, TypeError, ValueError) as error:
            raise RunFolderError(f"{self.path}: damaged: {METRICS}: {error!r}; train again") from None

    def last_epoch(self) -> int:
        """Number of the last epoch with a checkpoint, 0 for none."""
        return max((int(path.name.removeprefix("epoch_")) for path in self._epochs()), default=0)

    def checkpoint(self, epoch: int) -> Path:
        """Folder of an epoch's checkpoint."""
        return self.path / _CHECKPOINTS / f"epoch_{epoch:03}"

    # === Writing ===

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps a second process from training into the same folder.

        Raises:
            RunFolderError: another process holds the lock, or the folder cannot be written.
        """
        with self.writable():
            self.path.mkdir(parents=True, exist_ok=True)
            lock = filelock.FileLock(self.path / LOCK, blocking=False)
            try:
                lock.acquire()
            except filelock.Timeout:
                raise RunFolderError(
                    f"{self.path}: another process is training into this folder; use another --out"
                ) from None
        try:
            self._remove_temporary()
            yield
        finally:
            lock.release()

    @contextlib.contextmanager
    def writable(self) -> Iterator[None]:
        """Turns operating system errors of writing (no permission, disk full) into one line."""
        try:
            yield
        except OSError as error:
            reason = error.strerror or str(error)
            raise RunFolderError(
                f"{self.path}: cannot write the run folder: {reason}; free space or use another --out"
            ) from None

    def start(self, config: RunConfig, labels: Sequence[str], facts: Mapping[str, Any]) -> None:
        """Writes what is known before the first epoch."""
        self.write_text(LABELS_FILE, labels_text(labels))
        self.write_json(RUN_FACTS_FILE, facts)
        self.write_config(config)

    def write_config(self, config: RunConfig) -> None:
        """Writes the run file with every key resolved."""
        self.write_text(RUN_FILE, dump_run_file(config))

    def write_json(self, name: str, value: Any) -> None:
        """Writes a JSON file atomically: a reader sees the old or the new one."""
        self.write_text(name, json.dumps(value, indent=2, ensure_ascii=False) + "\n")

    def write_text(self, name: str, text: str) -> None:
        """Writes a text file atomically."""
        with self.writable():
            write_whole(self.path / name, text.encode(), flushed=True)

    @contextlib.contextmanager
    def new_folder(self, target: Path) -> Iterator[Path]:
        """A temporary folder that replaces `target` when the block ends without an error, and is removed otherwise."""
        with self.writable(), whole_folder(target) as temporary:
            yield temporary
            shutil.rmtree(target, ignore_errors=True)

    def keep_epochs(self, epochs: set[int]) -> None:
        """Removes the checkpoints of all other epochs."""
        kept = {self.checkpoint(epoch) for epoch in epochs}
        for path in self._epochs():
            if path not in kept:
                shutil.rmtree(path, ignore_errors=True)

    def drop_checkpoints(self) -> None:
        """Removes all checkpoints."""
        shutil.rmtree(self.path / _CHECKPOINTS, ignore_errors=True)

    def _epochs(self) -> list[Path]:
        return [path for path in (self.path / _CHECKPOINTS).glob("epoch_*") if _EPOCH.fullmatch(path.name)]

    def _remove_temporary(self) -> None:
        """Removes the incomplete files of a killed process."""
        for path in [*self.path.glob(f"{TEMPORARY}*"), *self.path.glob(f"{_CHECKPOINTS}/{TEMPORARY}*")]:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

    def _read(self, name: str) -> str:
        return self._read_bytes(name).decode()

    def _read_bytes(self, name: str) -> bytes:
        try:
            return (self.path / name).read_bytes()
        except OSError:
            raise RunFolderError(f"{self.path}: {name} is missing; train again") from None
