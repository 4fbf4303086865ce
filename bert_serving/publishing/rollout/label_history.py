"""The history of label changes of a models.config, in a file beside it, for rollbacks."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from bert_serving.errors import PublishError
from bert_serving.io.files import write_whole
from bert_serving.publishing.rollout.models_config import ServedVersions


@dataclass(frozen=True)
class LabelChange:
    """A change of a model's version labels.

    Attributes:
        model: name of the model.
        before: label to version before the change.
        after: label to version after the change.
        when: time of the change, UTC, ISO 8601.
    """

    model: str
    before: dict[str, int]
    after: dict[str, int]
    when: str


def history_file(config: Path) -> Path:
    """The history's path: that of models.config with .history appended."""
    return config.with_name(f"{config.name}.history")


def read_history(config: Path) -> list[LabelChange]:
    """All changes, oldest first.

    Raises:
        PublishError: the file is damaged.
    """
    path = history_file(config)
    if not path.is_file():
        return []
    try:
        lines = path.read_text("utf-8").splitlines()
        return [LabelChange(**json.loads(line)) for line in lines if line.strip()]
    except (OSError, ValueError, TypeError) as error:
        raise PublishError(
            f"{path}: damaged: {error}; delete it, and change labels with `bert-serving label`"
        ) from None


def record_change(config: Path, model: str, before: ServedVersions, after: ServedVersions) -> None:
    """Appends a change.

    Raises:
        PublishError: the file is damaged or cannot be written.
    """
    now = datetime.now(UTC).isoformat(timespec="seconds")
    change = LabelChange(model, dict(before.labels), dict(after.labels), now)
    _write_history(config, [*read_history(config), change])


def last_change(config: Path, model: str, now: ServedVersions) -> LabelChange:
    """The change that a rollback reverts.

    Raises:
        PublishError: no change is recorded, or the labels were changed otherwise since then.
    """
    changes = [change for change in read_history(config) if change.model == model]
    if not changes:
        raise PublishError(
            f"{history_file(config)}: has no change of a label of {model} to roll back; use `bert-serving label`"
        )
    if changes[-1].after != dict(now.labels):
        raise PublishError(
            f"{config}: the labels of {model} were edited by hand since {changes[-1].when}; use `bert-serving label`"
        )
    return changes[-1]


def remove_change(config: Path, change: LabelChange) -> None:
    """Removes a change that was rolled back, so that the next rollback reverts the one before it.

    Raises:
        PublishError: the file is damaged or cannot be written.
    """
    changes = read_history(config)
    del changes[len(changes) - 1 - changes[::-1].index(change)]
    _write_history(config, changes)


def _write_history(config: Path, changes: Sequence[LabelChange]) -> None:
    path = history_file(config)
    try:
        write_whole(path, "".join(json.dumps(asdict(change)) + "\n" for change in changes).encode())
    except OSError as error:
        raise PublishError(f"{path}: cannot write it: {error.strerror}; check its permissions") from None
