"""How requests are logged, and the way there from TensorFlow Serving's LoggingConfig."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bert_serving.errors import InputError

MOST_BYTES = 256 << 20


@dataclass(frozen=True)
class RequestLogging:
    """A log of sampled requests.

    Attributes:
        prefix: path that the names of its files begin with.
        rate: share of the requests that are logged, from 0 to 1.
        most_bytes: what its files may take together; the oldest goes first.
    """

    prefix: Path
    rate: float
    most_bytes: int = MOST_BYTES

    def __post_init__(self) -> None:
        if not 0 <= self.rate <= 1:
            raise InputError(
                f"The sampling rate {self.rate} is not between 0 and 1: it is the share of requests to log"
            )
        if not self.prefix.is_absolute() or not self.prefix.name:
            raise InputError(
                f"The request log {str(self.prefix)!r} is no absolute path: give a folder and how names begin"
            )
        if not self.prefix.parent.is_dir():
            raise InputError(f"The request log {self.prefix} needs the folder {self.prefix.parent}, which is not there")


def model_logging(entry: Any, *, most_bytes: int = MOST_BYTES) -> RequestLogging | None:
    """What the LoggingConfig of a ModelConfig asks for; None when there is none.

    The stock server has no log collector and refuses to start; custom builds name theirs in `type`. Here the type is left out.

    Raises:
        InputError: it asks for what this server does not have.
    """
    if not entry.HasField("logging_config"):
        return None
    config = entry.logging_config
    collector, sampling = config.log_collector_config, config.sampling_config
    if collector.type not in ("", "tfrecord"):
        raise InputError(
            f"Model {entry.name} asks for the log collector {collector.type!r}; this server has one, which writes TFRecord files: "
            "leave the type out"
        )
    if config.HasField("custom_logging_config") or sampling.per_task_sampling_configs:
        raise InputError(
            f"Model {entry.name}: logging_config knows log_collector_config and sampling_config.sampling_rate here: leave out the rest"
        )
    if not collector.filename_prefix:
        raise InputError(
            f"Model {entry.name}: logging_config needs log_collector_config.filename_prefix, an absolute path"
        )
    try:
        return RequestLogging(Path(collector.filename_prefix), sampling.sampling_rate, most_bytes)
    except InputError as error:
        raise InputError(f"Model {entry.name}: {error}") from None
