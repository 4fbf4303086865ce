"""Configuration of the request log, also from TensorFlow Serving's LoggingConfig."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bert_serving.errors import InputError

DEFAULT_MAX_BYTES = 256 << 20


@dataclass(frozen=True)
class RequestLogConfig:
    """A log of sampled requests.

    Attributes:
        prefix: path prefix of its files.
        sampling_rate: fraction of the requests to log, from 0 to 1.
        max_bytes: most bytes of its files together; the oldest file is deleted first.
    """

    prefix: Path
    sampling_rate: float
    max_bytes: int = DEFAULT_MAX_BYTES

    def __post_init__(self) -> None:
        """Checks the values."""
        if not 0 <= self.sampling_rate <= 1:
            raise InputError(
                f"The sampling rate {self.sampling_rate} is not between 0 and 1: it is the fraction of requests to log"
            )
        if not self.prefix.is_absolute() or not self.prefix.name:
            raise InputError(
                f"The request log {str(self.prefix)!r} is not an absolute path: give a folder and a prefix of file names"
            )
        if not self.prefix.parent.is_dir():
            raise InputError(
                f"The request log {self.prefix} needs the folder {self.prefix.parent}, which does not exist: create it"
            )


def model_logging(entry: Any) -> RequestLogConfig | None:
    """The request log from the LoggingConfig of a ModelConfig; None without one.

    The stock server refuses a LoggingConfig; custom builds name their log collector in `type`.

    Raises:
        InputError: it has a setting that this server does not support.
    """
    if not entry.HasField("logging_config"):
        return None
    config = entry.logging_config
    collector, sampling = config.log_collector_config, config.sampling_config
    if collector.type not in ("", "tfrecord"):
        raise InputError(
            f"Model {entry.name} asks for the log collector {collector.type!r}; this server writes TFRecord files: "
            "leave the type out"
        )
    if config.HasField("custom_logging_config") or sampling.per_task_sampling_configs:
        raise InputError(
            f"Model {entry.name}: logging_config supports log_collector_config and sampling_config.sampling_rate: leave out the rest"
        )
    if not collector.filename_prefix:
        raise InputError(
            f"Model {entry.name}: logging_config needs log_collector_config.filename_prefix, an absolute path"
        )
    try:
        return RequestLogConfig(Path(collector.filename_prefix), sampling.sampling_rate)
    except InputError as error:
        raise InputError(f"Model {entry.name}: {error}") from None
