"""The path of the metrics: the monitoring config file of TensorFlow Serving."""

import re
from pathlib import Path

from bert_serving.errors import InputError
from bert_serving.model_server.config.text_protos import read_config_file

DEFAULT_PATH = "/monitoring/prometheus/metrics"

# Letters of a path that arrives as it is written; the root belongs to the web page.
_PATH = re.compile(r"/[!-~]+")
_TAKEN = re.compile(r"/(v1|healthz|page)(/.*)?|/openapi\.json", re.IGNORECASE)


def read_metrics_path(path: Path) -> str | None:
    """The path of the metrics from a monitoring config file; None where the metrics are off.

    Raises:
        InputError: the file cannot be read or parsed, or no client could ask for the path.
    """
    config = read_config_file(path, "MonitoringConfig").prometheus_config
    if not config.enable:
        return None
    if config.path and not config.path.startswith("/"):
        raise InputError(f"{path}: the metrics' path {config.path!r} does not begin with a slash")
    metrics_path = config.path or DEFAULT_PATH
    if not _PATH.fullmatch(metrics_path) or set(metrics_path) & set("?#%"):
        raise InputError(f"{path}: the metrics' path {metrics_path!r} needs a name in plain letters, such as /metrics")
    if _TAKEN.fullmatch(metrics_path):
        raise InputError(f"{path}: the metrics' path {metrics_path!r} is taken by this server: choose another one")
    return metrics_path
