"""One server for the tests of what is sent over HTTP."""

import pytest
from support import serving_models
from support.raw_http import exchange

from bert_serving.model_server.config.options import ModelConfig, ServerOptions
from bert_serving.model_server.server import ServerThread


@pytest.fixture(scope="package")
def send(tmp_path_factory):
    """Sends bytes to a server of a model of numbers and one of texts; returns its answer."""
    base = tmp_path_factory.mktemp("models")
    serving_models.write_arithmetic(base / "numbers" / "1")
    serving_models.write_texts(base / "texts" / "1")
    models = [
        ModelConfig("numbers", base / "numbers", labels={"stable": 1}),
        ModelConfig("texts", base / "texts"),
        ModelConfig("a b/ä:predict", base / "numbers"),
    ]
    options = ServerOptions(models=models, port=None, metrics_path="/monitoring/prometheus/metrics")
    with ServerThread(options) as running:
        yield lambda data: exchange(running.server.rest_port, data)
