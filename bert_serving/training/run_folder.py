"""The run folder: everything about one training run, enough to go on with it, evaluate it and export it.

run.toml          the run file with every key resolved
run.json          encoder, data digests, versions
labels.txt        labels in the order of the outputs
encoder.json      architecture of the encoder (when it was rebuilt as a Keras network)
preprocessing/    the preprocessing SavedModel
checkpoints/      one folder for each epoch that may still be needed; gone when the run is complete
weights/          the best epoch's weights; its presence says that training is complete
history.json      one row for each epoch
audit.json        what the data looks like
metrics.json      scores on validation and test data, and of the baselines, as training left the model
calibration.json  the scaling of the logits and how it was found; only after `bert-serving calibrate`
pictures/         PNG files
"""

import contextlib
import json
import math
import os
import re
import shutil
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock

from bert_serving.config import RunConfig, parse_run_config
from bert_serving.contract import Scaling
from bert_serving.errors import RunFolderError
from bert_serving.run_file import dump_run_file

LOCK = ".lock"
_TEMPORARY = ".tmp-"
_EPOCH = re.compile(r"epoch_\d{3,}")


@dataclass(frozen=True)
class RunFolder:
    """A run folder on disk."""

    path: Path

    # === Places ===

    @property
    def weights(self) -> Path:
        """The best epoch's weights by variable name, a safetensors file."""
        return self.path / "weights" / "model.safetensors"

    @property
    def preprocessing(self) -> Path:
        """The preprocessing SavedModel."""
        return self.path / "preprocessing"

    @property
    def pictures(self) -> Path:
        """Folder of PNG files."""
        return self.path / "pictures"

    @property
    def description(self) -> Path:
        """Architecture of the encoder; absent when it is used as a `hub.KerasLayer`."""
        return self.path / "encoder.json"

    @property
    def calibration(self) -> Path:
        """The fitted scaling; absent for a run that was not calibrated."""
        return self.path / "calibration.json"

    @property
    def is_complete(self) -> bool:
        """Whether training came to its end."""
        return self.weights.is_file()

    def check_complete(self, *names: str) -> None:
        """Makes sure that training came to its end, and that the files of these names are there, too.

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
            RunFolderError: the folder is no run folder.
        """
        path = self.path / "run.toml"
        try:
            return parse_run_config(tomllib.loads(path.read_text("utf-8")), source=str(path))
        except OSError:
            raise RunFolderError(
                f"{self.path}: not a run folder (run.toml is missing); give the folder that train wrote"
            ) from None
        except tomllib.TOMLDecodeError as error:
            raise RunFolderError(f"{path}: damaged: {error}; train again") from None

    def labels(self) -> tuple[str, ...]:
        """Labels in the order of the outputs."""
        return tuple(self._read("labels.txt").split("\n")[:-1])

    def read_json(self, name: str) -> Any:
        """A JSON file of the folder, such as "metrics.json"."""
        try:
            return json.loads(self._read(name))
        except ValueError as error:
            raise RunFolderError(f"{self.path / name}: damaged: {error}; train again") from None

    def scaling(self) -> Scaling:
        """What is done to logits before they become probabilities; nothing for a run that was not calibrated.

        Raises:
            RunFolderError: calibration.json is damaged.
        """
        if not self.calibration.exists():
            return Scaling()
        try:
            found = self.read_json(self.calibration.name)
            numbers = float(found["temperature"]), float(found.get("exponent", 1.0))
        except (AttributeError, KeyError, TypeError, ValueError, RunFolderError):
            numbers = math.nan, math.nan
        if not all(math.isfinite(number) and number > 0 for number in numbers):
            raise RunFolderError(
                f"{self.calibration}: damaged: holds no temperature over 0; calibrate again or remove it"
            )
        return Scaling(*numbers)

    def last_epoch(self) -> int:
        """Number of the last epoch with a checkpoint, 0 for none."""
        return max((int(path.name.removeprefix("epoch_")) for path in self._epochs()), default=0)

    def checkpoint(self, epoch: int) -> Path:
        """Folder of an epoch's checkpoint."""
        return self.path / "checkpoints" / f"epoch_{epoch:03}"

    # === Writing ===

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps a second process from training into the same folder.

        Raises:
            RunFolderError: another process holds it, or it cannot be written.
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
            self._sweep()
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
        self.write_text("labels.txt", "".join(f"{label}\n" for label in labels))
        self.write_json("run.json", facts)
        self.write_text("run.toml", dump_run_file(config))

    def write_json(self, name: str, value: Any) -> None:
        """Writes a JSON file in one step: a reader sees the old or the new one, never half of it."""
        self.write_text(name, json.dumps(value, indent=2, ensure_ascii=False) + "\n")

    def write_text(self, name: str, text: str) -> None:
        """Writes a text file in one step."""
        temporary = self.path / f"{_TEMPORARY}{name}"
        with self.writable():
            try:
                with temporary.open("w", encoding="utf-8") as file:
                    file.write(text)
                    file.flush()
                    os.fsync(file.fileno())
                temporary.replace(self.path / name)
            finally:
                temporary.unlink(missing_ok=True)

    @contextlib.contextmanager
    def new_folder(self, target: Path) -> Iterator[Path]:
        """A temporary folder that becomes `target` when the block ends well, and vanishes otherwise."""
        temporary = target.parent / f"{_TEMPORARY}{target.name}"
        with self.writable():
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir(parents=True)
        try:
            yield temporary
            with self.writable():
                shutil.rmtree(target, ignore_errors=True)
                temporary.rename(target)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def keep_epochs(self, epochs: set[int]) -> None:
        """Removes the checkpoints of all other epochs."""
        wanted = {self.checkpoint(epoch) for epoch in epochs}
        for path in self._epochs():
            if path not in wanted:
                shutil.rmtree(path, ignore_errors=True)

    def drop_checkpoints(self) -> None:
        """Removes all checkpoints."""
        shutil.rmtree(self.path / "checkpoints", ignore_errors=True)

    def _epochs(self) -> list[Path]:
        return [path for path in (self.path / "checkpoints").glob("epoch_*") if _EPOCH.fullmatch(path.name)]

    def _sweep(self) -> None:
        """Removes what a killed process left behind."""
        for path in [*self.path.glob(f"{_TEMPORARY}*"), *self.path.glob(f"checkpoints/{_TEMPORARY}*")]:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

    def _read(self, name: str) -> str:
        try:
            return (self.path / name).read_text("utf-8")
        except OSError:
            raise RunFolderError(f"{self.path}: {name} is missing; train again") from None
