"""The path of the metrics: the monitoring config file of TensorFlow Serving."""

from pathlib import Path

from bert_serving.errors import InputError
from bert_serving.model_server.config.text_protos import read_config_file

DEFAULT_PATH = "/monitoring/prometheus/metrics"


def read_metrics_path(path: Path) -> str | None:
    """The path of the metrics from a monitoring config file; None where the metrics are off.

    Raises:
        InputError: the file cannot be read or parsed, or the path does not begin with a slash.
    """
    config = read_config_file(path, "MonitoringConfig").prometheus_config
    if not config.enable:
        return None
    if config.path and not config.path.startswith("/"):
        raise InputError(f"{path}: the metrics' path {config.path!r} does not begin with a slash")
    return config.path or DEFAULT_PATH
