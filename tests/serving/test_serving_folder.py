"""The files of serving/ are valid for their programs, and every client gets predictions from a running server."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys

import pytest
import yaml
from support import serving_models
from support.paths import ROOT

from bert_serving.model_server.config.batching import BatchingParameters, read_batching_parameters
from bert_serving.model_server.config.flags import parse_flags
from bert_serving.model_server.config.model_config import read_model_config_file
from bert_serving.model_server.config.monitoring import DEFAULT_PATH, read_metrics_path
from bert_serving.model_server.config.options import ModelConfig, ServerOptions
from bert_serving.model_server.config.text_protos import read_config_file
from bert_serving.model_server.server import ServerThread

# Real tools and servers; takes minutes.
pytestmark = pytest.mark.slow

SERVING = ROOT / "serving"
# Works with Debian's Go 1.19, which needs no module for a single file.
CLIENTS = {
    "python": [sys.executable, "client.py"],
    "javascript": ["node", "client.mjs"],
    "go": ["go", "run", "client.go"],
}


def test_the_configuration_files_are_read_by_the_server():
    (model,) = read_model_config_file(SERVING / "models.config")
    assert (model.name, model.policy.specific, model.labels) == ("bike_shop", (1,), {"stable": 1})
    parameters = read_batching_parameters(SERVING / "batching_parameters.txt")
    assert (parameters.max_batch_size, parameters.num_batch_threads) == (32, 2)
    assert read_metrics_path(SERVING / "monitoring.config") == DEFAULT_PATH
    assert read_config_file(SERVING / "ssl.config.example", "SSLConfig").client_verify


def test_the_image_runs_the_binary_with_existing_flags(tmp_path):
    text = (SERVING / "Dockerfile").read_text().replace("\\\n", " ")
    lines = dict(line.split(" ", 1) for line in text.splitlines() if re.match(r"[A-Z]+ ", line))
    assert re.fullmatch(r"tensorflow/serving:\d+\.\d+\.\d+", lines["FROM"])
    assert json.loads(lines["ENTRYPOINT"]) == ["/usr/bin/tensorflow_model_server"]
    assert lines["USER"].split(":")[0] != "0"
    for name in lines["COPY"].split()[:-1]:
        shutil.copy(SERVING / name, tmp_path)
    arguments = [argument.replace("/config/", f"{tmp_path}/") for argument in json.loads(lines["CMD"])]
    options = parse_flags(arguments).options
    assert (options.port, options.rest_api_port, options.max_num_load_retries) == (8500, 8501, 1)


def test_compose_mounts_existing_files_and_pins_every_image():
    services = yaml.safe_load((SERVING / "docker-compose.yml").read_text())["services"]
    assert set(services) == {"serving", "prometheus", "grafana"}
    for name, service in services.items():
        assert "build" in service or re.search(r":v?\d+\.\d+\.\d+$", service["image"]), name
        for volume in service["volumes"]:
            source = volume.split(":")[0]
            assert source.startswith("${") or (SERVING / source).exists(), volume
        for port in service["ports"]:
            assert port.startswith("127.0.0.1:"), "the ports have no authentication"
    scraped = yaml.safe_load((SERVING / "prometheus" / "prometheus.yml").read_text())["scrape_configs"][0]
    assert scraped["static_configs"][0]["targets"] == ["serving:8501"]
    assert scraped["metrics_path"] == DEFAULT_PATH


def metric_names(text):
    return set(re.findall(r":tensorflow:serving:[a-z_:]*[a-z]", text))


def test_the_dashboard_and_the_rules_use_existing_metrics(server):
    import httpx

    httpx.post(f"{server.rest_url}/v1/models/texts:predict", json={"instances": ["kurz"]}).raise_for_status()
    known = metric_names(httpx.get(f"{server.rest_url}{DEFAULT_PATH}").text)
    dashboard = json.loads((SERVING / "grafana" / "dashboards" / "serving.json").read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    rules = (SERVING / "prometheus" / "rules.yml").read_text()
    assert len(expressions) > 10
    for text in (*expressions, rules):
        assert metric_names(text) <= known, metric_names(text) - known
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in dashboard["panels"]]
    assert len(set(places)) == len(places)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool (Debian: prometheus)")
def test_promtool_accepts_the_rules_and_their_tests():
    for words in ("check config prometheus.yml", "test rules rules_test.yml"):
        command = ["promtool", *shlex.split(words)]
        result = subprocess.run(command, cwd=SERVING / "prometheus", capture_output=True, text=True, timeout=60)
        assert result.returncode == 0, result.stdout + result.stderr


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    base = tmp_path_factory.mktemp("models") / "texts"
    serving_models.write_texts(base / "1")
    models = [ModelConfig("texts", base, labels={"stable": 1})]
    # Only a server with batching has the queue metrics of the dashboard.
    options = ServerOptions(models=models, metrics_path=DEFAULT_PATH, batching=BatchingParameters())
    with ServerThread(options) as running:
        yield running


def ask(server, language, *arguments, **environment):
    command = CLIENTS[language]
    if shutil.which(command[0]) is None:
        pytest.skip(f"needs {command[0]}")
    own = {"REST_ADDRESS": server.rest_url, "GRPC_ADDRESS": server.grpc_address, "GOFLAGS": "-mod=mod"}
    environment = os.environ | own | environment
    return subprocess.run(
        [*command, *arguments], cwd=SERVING / "clients", capture_output=True, text=True, timeout=120, env=environment
    )


@pytest.mark.parametrize("language", ["python", "javascript", "go"])
def test_every_client_gets_the_labels(server, language):
    answer = ask(server, language, "texts", "kurz", 'ein "langer" Text')
    assert (answer.returncode, answer.stdout.split()) == (0, ["kurz", "länger"]), answer.stderr


@pytest.mark.parametrize("language", ["javascript", "go"])
def test_a_client_requests_a_label_and_prints_the_servers_error(server, language):
    assert ask(server, language, "texts", "kurz", LABEL="stable").stdout == "kurz\n"
    for arguments, label, words in (("texts", "none", "label: none"), ("absent", "", "Servable not found")):
        refused = ask(server, language, arguments, "kurz", LABEL=label)
        assert (refused.returncode, words in refused.stderr) == (1, True), refused


def test_the_python_client_works_over_grpc(server):
    answer = ask(server, "python", "--grpc", "--label", "stable", "texts", "kurz", "ein langer Text")
    assert answer.stdout.split() == ["kurz", "länger"], answer.stderr


def test_the_shell_client_gets_an_answer(server):
    for program in ("curl", "jq"):
        if shutil.which(program) is None:
            pytest.skip(f"needs {program}")
    command = ["sh", "client.sh", "texts", 'ein "langer" Text', "stable"]
    environment = os.environ | {"REST_ADDRESS": server.rest_url}
    answer = subprocess.run(
        command, cwd=SERVING / "clients", capture_output=True, text=True, timeout=60, env=environment
    )
    assert json.loads(answer.stdout)["predictions"][0]["label"] == "länger"
