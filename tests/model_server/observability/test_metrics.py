"""Metrics as Prometheus reads them."""

import os
import platform
import time
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
import tensorflow as tf
from prometheus_client.parser import text_string_to_metric_families
from support import serving_models

from bert_serving.model_server.config.monitoring import DEFAULT_PATH
from bert_serving.model_server.config.options import ModelConfig, ServerOptions
from bert_serving.model_server.server import ServerThread
from bert_serving.version import __version__

ODD = 'a "b"\\ \n{c="d"} ä'


@pytest.fixture(scope="module")
def scraped(tmp_path_factory):
    base = tmp_path_factory.mktemp("models")
    serving_models.write_half_plus(base / "1")
    options = ServerOptions(models=[ModelConfig(ODD, base)], port=None, metrics_path=DEFAULT_PATH)
    with ServerThread(options) as running, httpx.Client(base_url=running.rest_url, timeout=20) as http:
        assert (
            http.post(f"/v1/models/{quote(ODD, safe='')}:predict", content=b'{"instances": [1.0]}').status_code == 200
        )
        return http.get(DEFAULT_PATH)


@pytest.fixture(scope="module")
def families(scraped):
    return {family.name: family for family in text_string_to_metric_families(scraped.text)}


def only_sample(family):
    (sample,) = family.samples
    return sample


def test_prometheus_parses_every_line(scraped, families):
    assert scraped.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = [line for line in scraped.text.splitlines() if not line.startswith("#")]
    assert sum(len(family.samples) for family in families.values()) == len(lines)
    assert {family.type for family in families.values()} == {"counter", "gauge", "histogram"}
    requests = only_sample(families[":tensorflow:serving:request_count"])
    assert (requests.labels["model_name"], requests.value) == (ODD, 1.0)


def test_build_info_has_the_versions_in_use(families):
    info = only_sample(families[":bert_serving:build_info"])
    assert info.value == 1.0
    assert info.labels["version"] == __version__
    assert info.labels["tensorflow"] == tf.__version__
    assert info.labels["python"] == platform.python_version()
    assert info.labels["tensorflow_text"].split(".")[:2] == tf.__version__.split(".")[:2]


def test_the_start_of_the_process_is_told(families):
    started = only_sample(families["process_start_time_seconds"]).value
    uptime = float(Path("/proc/uptime").read_text().split()[0])
    ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    assert started == pytest.approx(time.time() - uptime + ticks / os.sysconf("SC_CLK_TCK"), abs=5)


def test_only_the_counters_of_the_reference_lack_their_suffix(scraped):
    counters = {
        line.split()[2] for line in scraped.text.splitlines() if line.startswith("# TYPE") and "counter" in line
    }
    assert "process_cpu_seconds_total" in counters
    assert {name for name in counters if not name.endswith("_total")} == {
        ":tensorflow:serving:request_count",
        ":tensorflow:cc:saved_model:load_attempt_count",
    }
