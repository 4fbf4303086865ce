"""k8s/: every overlay builds, is valid in several versions of Kubernetes, and its containers start with what they are given."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
import yaml
from support import manifests, object_storage
from support.empty_export import write_export
from support.manifest_schemas import VERSIONS, problems_of
from support.manifests import K8S, OVERLAYS, of_kind, overlay, pods, server_of

from bert_serving.model_server.config.batching import read_batching_parameters
from bert_serving.model_server.config.flags import parse_flags
from bert_serving.model_server.config.model_config import read_model_config_file
from bert_serving.observer import Observer
from bert_serving.publishing import publication
from bert_serving.publishing.kubernetes.deployment import Deployment
from bert_serving.publishing.kubernetes.manifests import write_manifests
from bert_serving.publishing.kubernetes.sizing import MEBI, Workload, compute_sizing
from bert_serving.publishing.storage.location import open_location

# Real tools and servers, minutes of them.
pytestmark = pytest.mark.slow

SERVING = [name for name in OVERLAYS if not name.startswith("training")]
DEPLOYED = [name for name in SERVING if not name.startswith("kserve")]


# === Valid ===


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", OVERLAYS)
def test_every_manifest_of_an_overlay_is_valid(name, version):
    found = overlay(name)
    assert len(found) >= 3
    assert [problem for each in found for problem in problems_of(each, version)] == []


def test_the_containers_of_a_serving_runtime_are_valid():
    (runtime,) = of_kind(overlay("kserve"), "ServingRuntime")
    pod = {"containers": runtime["spec"]["containers"], "volumes": runtime["spec"]["volumes"]}
    assert problems_of({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": pod}, "1.34") == []


def test_a_field_that_does_not_exist_is_found():
    for name, kind in (
        ("cpu", "Deployment"),
        ("cpu", "ServiceMonitor"),
        ("canary-mesh", "HTTPRoute"),
        ("kserve-standard", "InferenceService"),
    ):
        manifest = json.loads(json.dumps(of_kind(overlay(name), kind)[0]))
        manifest["spec"]["replicsa"] = 2
        assert any("replicsa" in problem for problem in problems_of(manifest, "1.34")), kind


# === What a good manifest has ===


@pytest.mark.parametrize("name", SERVING)
def test_a_server_has_all_that_one_needs_in_production(name):
    found = overlay(name)
    for pod in pods(found).values():
        server = server_of(pod)
        assert server["image"].startswith("tensorflow/serving:2.20.0")
        assert server["command"] == ["/usr/bin/tensorflow_model_server"], "bash would pass no SIGTERM on"
        assert server["resources"]["requests"] == server["resources"]["limits"]
        assert server["lifecycle"]["preStop"]["exec"]["command"] == ["sleep", "15"]
        flags = dict(each.split("=", 1) for each in server["args"])
        for flag in (
            "tensorflow_intra_op_parallelism",
            "tensorflow_inter_op_parallelism",
            "rest_api_num_threads",
            "grpc_max_threads",
        ):
            assert int(flags[f"--{flag}"]) > 0
        assert flags["--enable_profiler"] == "false"
        assert int(flags["--max_num_load_retries"]) <= 1
        for container in (*pod.get("initContainers", ()), *pod["containers"]):
            assert ":" in container["image"]
            assert not container["image"].endswith("latest")
            security = container["securityContext"]
            assert security["readOnlyRootFilesystem"]
            assert security["capabilities"] == {"drop": ["ALL"]}
            assert not security["allowPrivilegeEscalation"]
            assert (pod.get("securityContext") or security)["runAsNonRoot"]


@pytest.mark.parametrize("name", DEPLOYED)
def test_a_deployment_has_all_that_one_needs_in_production(name):
    found = overlay(name)
    for kind in ("NetworkPolicy", "PodDisruptionBudget", "HorizontalPodAutoscaler", "Service"):
        assert of_kind(found, kind), kind
    for deployment in of_kind(found, "Deployment"):
        assert deployment["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
        pod = deployment["spec"]["template"]["spec"]
        server = server_of(pod)
        assert pod["terminationGracePeriodSeconds"] > 15
        assert {each["topologyKey"] for each in pod["topologySpreadConstraints"]} == {
            "kubernetes.io/hostname",
            "topology.kubernetes.io/zone",
        }
        # Only the sync containers write where the models are.
        by_name = {each["name"]: each for each in (*pod["initContainers"], *pod["containers"])}
        modes = {
            name: each.get("readOnly", False)
            for name, container in by_name.items()
            for each in container["volumeMounts"]
            if each["name"] == "models"
        }
        assert modes == {"server": True, "sync": False, "first-sync": False}
        budget = server["startupProbe"]["periodSeconds"] * server["startupProbe"]["failureThreshold"]
        assert budget >= 60
        assert "tcpSocket" in server["livenessProbe"], "a busy server must not be killed"
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        for service in of_kind(found, "Service"):
            track = service["spec"]["selector"].get("bert-serving/track")
            if track in (None, labels.get("bert-serving/track")):
                assert service["spec"]["selector"].items() <= labels.items()
    headless = [each for each in of_kind(found, "Service") if each["spec"].get("clusterIP") == "None"]
    assert headless, "gRPC clients need the addresses of all pods"


def test_processors_and_latency_both_scale():
    (cpu,) = of_kind(overlay("cpu"), "HorizontalPodAutoscaler")
    assert [each["type"] for each in cpu["spec"]["metrics"]] == ["ContainerResource", "Pods"]
    (gpu,) = of_kind(overlay("gpu"), "HorizontalPodAutoscaler")
    assert [each["type"] for each in gpu["spec"]["metrics"]] == ["Pods"]
    rules = yaml.safe_load((K8S / "components" / "latency" / "adapter-rules.yaml").read_text())["rules"]["custom"]
    assert rules[0]["name"]["as"] == cpu["spec"]["metrics"][1]["pods"]["metric"]["name"]


def test_weights_and_routes_lead_to_services_that_there_are():
    found = overlay("canary-mesh")
    ports = {
        each["metadata"]["name"]: [port["port"] for port in each["spec"]["ports"]] for each in of_kind(found, "Service")
    }
    for kind in ("HTTPRoute", "GRPCRoute"):
        (route,) = of_kind(found, kind)
        for rule in route["spec"]["rules"]:
            for backend in rule["backendRefs"]:
                assert backend["port"] in ports[backend["name"]]
        assert [each["weight"] for each in route["spec"]["rules"][-1]["backendRefs"]] == [90, 10]


def test_files_that_are_there_twice_are_the_same():
    serving = K8S.parent / "serving"
    for name in ("batching_parameters.txt", "monitoring.config"):
        for copy in (K8S / "base" / "config" / "start" / name, K8S / "overlays" / "kserve" / name):
            assert copy.read_text() == (serving / name).read_text(), copy
    alerts = {each["alert"] for each in rules_of(serving / "prometheus" / "rules.yml") if "alert" in each}
    (operator,) = of_kind(overlay("cpu"), "PrometheusRule")
    assert {
        each["alert"] for group in operator["spec"]["groups"] for each in group["rules"] if "alert" in each
    } == alerts


def rules_of(path):
    return [rule for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]]


# === Started ===


@pytest.mark.parametrize("name", SERVING)
def test_every_flag_and_every_file_of_a_server_is_understood(name, tmp_path):
    for workload, pod in pods(overlay(name)).items():
        root, server = tmp_path / workload, server_of(pod)
        manifests.mount(pod, server, overlay(name), root)
        for model in ("models/bike_shop", "mnt/models"):
            (root / model).mkdir(parents=True, exist_ok=True)
        arguments, ports = manifests.arguments_here(server, root, "bike_shop")
        options = parse_flags(arguments).options
        assert [model.name for model in options.models] == ["bike_shop"]
        assert options.metrics_path == "/monitoring/prometheus/metrics"
        (parameters,) = root.rglob("batching_parameters.txt")
        assert options.batching.max_batch_size == read_batching_parameters(parameters).max_batch_size
        assert set(ports.values()) == {options.port, options.rest_api_port} or name.startswith("kserve")


@pytest.mark.parametrize(
    "name", ["canary", *(pytest.param(each, marks=pytest.mark.slow) for each in SERVING if each != "canary")]
)
def test_a_server_starts_is_probed_answers_and_stops(name, tmp_path):
    """With its own command line and ConfigMaps; the embedded server in place of the stock one."""
    from support import serving_models

    from bert_serving.clients.grpc_client import GrpcClient
    from bert_serving.clients.rest_client import RestClient

    saved = serving_models.write_texts(tmp_path / "saved")
    for workload, pod in pods(overlay(name)).items():
        root, server = tmp_path / workload, server_of(pod)
        for base in ("models/bike_shop", "mnt/models"):
            for version in (1, 2):
                shutil.copytree(saved, root / base / str(version))
        manifests.mount(pod, server, overlay(name), root)
        arguments, ports = manifests.arguments_here(server, root, "bike_shop")
        flags = dict(each.split("=", 1) for each in arguments)
        environment = os.environ | {"PYTHONPATH": str(K8S.parent)}
        process = subprocess.Popen([sys.executable, "-m", "bert_serving.model_server", *arguments], env=environment)
        try:
            probe = server.get(
                "startupProbe", {"tcpSocket": {"port": "http1"}, "periodSeconds": 1, "failureThreshold": 120}
            )
            assert not manifests.probed(probe, ports), "the port opens only when the model has loaded"
            assert manifests.started(probe, ports, process)
            for kind in ("readinessProbe", "livenessProbe"):
                assert kind not in server or manifests.probed(server[kind], ports)
            label = "canary" if name == "canary" else None
            with (
                RestClient(f"http://127.0.0.1:{flags['--rest_api_port']}") as rest,
                GrpcClient(f"127.0.0.1:{flags['--port']}") as over_grpc,
            ):
                for client in (rest, over_grpc):
                    assert client.predict("bike_shop", ["kurz"], version_label=label)[0].label == "kurz"
                    states = {each.version: each.state for each in client.status("bike_shop")}
                wanted = {"canary": {1, 2}, "canary-mesh": {1} if workload.endswith("stable") else {2}}.get(name, {2})
                assert {version for version, state in states.items() if state == "AVAILABLE"} == wanted
            process.send_signal(signal.SIGTERM)
            assert process.wait(pod.get("terminationGracePeriodSeconds", 30)) == 0
        finally:
            process.kill()
            process.wait()


@pytest.mark.skipif(shutil.which("rclone") is None, reason="needs rclone")
def test_the_sync_containers_bring_whole_versions_only(tmp_path):
    """Both with their own command, script and environment, against an S3 API on loopback."""
    found = overlay("cpu")
    (pod,) = pods(found).values()
    first, sync = pod["initContainers"][0], pod["containers"][1]
    manifests.mount(pod, first, found, tmp_path)
    with object_storage.running_storage() as address:
        own = {
            "RCLONE_CONFIG_STORE_ENDPOINT": address,
            "RCLONE_CONFIG_STORE_PROVIDER": "Other",
            "RCLONE_CONFIG_STORE_REGION": "us-east-1",
            "EVERY": "1",
            "CONFIG": str(tmp_path / "models.config"),
            "HOME": str(tmp_path),
        } | object_storage.CREDENTIALS

        def run(container):
            environment = manifests.environment_of(container, found) | own
            environment["TARGET"] = f"{tmp_path}{environment['TARGET']}"
            command = [each.replace("/sync/", f"{tmp_path}/sync/") for each in container["command"]]
            return subprocess.Popen(
                command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            )

        def put(version, export, *, but=(), damaged=()):
            """As publish does it, saved_model.pb last: whatever the moment, a look finds no half version."""
            names = [path.relative_to(export).as_posix() for path in export.rglob("*") if path.is_file()]
            for name in sorted(set(names) - set(but), key=lambda name: name == "saved_model.pb"):
                content = b"damaged" if name in damaged else (export / name).read_bytes()
                object_storage.put_object(f"bike_shop/{version}/{name}", content)

        def versions():
            return sorted(path.name for path in (tmp_path / "models" / "bike_shop").iterdir() if path.name[0] != ".")

        def until(condition):
            deadline = time.monotonic() + 60
            while not condition():
                assert time.monotonic() < deadline
                time.sleep(0.1)

        export = write_export(tmp_path / "export" / "1")
        destination = publication.publication_target(export, open_location("s3://models"), name="bike_shop", version=1)
        publication.publish(export, destination, {}, observer=Observer())
        waiting = run(first)
        assert waiting.wait(60) == 0, waiting.stdout.read()
        assert versions() == ["1"]
        # A new pod starts although one version is damaged.
        got = tmp_path / "models" / "bike_shop" / "1"
        put(3, got, damaged=("variables/variables.index",))
        again = run(first)
        assert again.wait(60) == 0, again.stdout.read()
        assert versions() == ["1"]
        object_storage.remove_objects("bike_shop/3/")
        assert (got / "saved_model.pb").read_bytes() == (export / "saved_model.pb").read_bytes()
        running = run(sync)
        try:
            put(2, export, but=("saved_model.pb",))  # is being published
            put(3, got, damaged=("variables/variables.index",))
            put(4, got)
            until(lambda: "4" in versions())
            time.sleep(2)
            assert versions() == ["1", "4"], "what is not whole must not be seen"
            put(3, got)
            put(5, got)
            until(lambda: versions() == ["3", "4", "5"])
            # A label on an old version keeps it; num_versions is no version.
            (tmp_path / "models.config").write_text("specific { versions: 1 versions: 5 }\nnum_versions: 2\n")
            until(lambda: versions() == ["1", "3", "4", "5"])
            (tmp_path / "models.config").unlink()
            until(lambda: versions() == ["3", "4", "5"])
            object_storage.remove_objects("bike_shop/")
            time.sleep(2)
            assert versions() == ["3", "4", "5"], "an empty listing removes nothing"
            running.send_signal(signal.SIGTERM)
            assert running.wait(10) == 0
        finally:
            running.kill()
            running.wait()


def test_each_worker_is_told_of_the_others(tmp_path):
    found = overlay("training-job")
    fake = tmp_path / "bin" / "bert-serving"
    fake.parent.mkdir()
    fake.write_text('#!/bin/sh\necho "$TF_CONFIG"\necho "$@"\n')
    fake.chmod(0o755)
    (tmp_path / "config").mkdir()
    for name, content in of_kind(found, "ConfigMap")[0]["data"].items():
        (tmp_path / "config" / name).write_text(
            content.replace("/config/", f"{tmp_path}/config/").replace("/work/", f"{tmp_path}/work/")
        )
    (tmp_path / "work" / "runs" / "train-together-1").mkdir(parents=True)
    (tmp_path / "work" / "runs" / "train-together-1" / "run.toml").write_text("")
    (service,) = of_kind(found, "Service")
    for job in of_kind(found, "Job"):
        (container,) = job["spec"]["template"]["spec"]["containers"]
        command = [
            each.replace("/config/", f"{tmp_path}/config/").replace("/work/", f"{tmp_path}/work/")
            for each in container["command"]
        ]
        for index in range(job["spec"].get("completions", 1)):
            environment = manifests.environment_of(container, found) | {"JOB_COMPLETION_INDEX": str(index)}
            environment["PATH"] = f"{fake.parent}:{environment['PATH']}"
            printed = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
            config, words = printed.splitlines()
            assert words.startswith(f"train {tmp_path}/config/run.toml --out {tmp_path}/work/runs/")
            if job["metadata"]["name"] != "train-together":
                assert (config, "--resume" in words) == ("", False)
                continue
            port = service["spec"]["ports"][0]["port"]
            others = [f"train-together-{each}.{service['metadata']['name']}:{port}" for each in (0, 1)]
            task = {"type": "worker", "index": index}
            assert json.loads(config) == {"cluster": {"worker": others}, "task": task}
            assert ("--resume" in words, "training.strategy=multi_worker" in words) == (index == 1, True)


# === Rendered ===


@pytest.mark.parametrize(
    ("need", "expected"),
    [
        (Workload(100 * MEBI), {"min_pods": 2, "max_pods": 10, "processors": 2, "grpc_threads": 576}),
        (Workload(100 * MEBI, rate=600, throughput=100), {"min_pods": 10, "max_pods": 30}),
        (Workload(100 * MEBI, rate=10, throughput=1000), {"min_pods": 2}),
        (Workload(100 * MEBI, load_seconds=30), {"probe_failures": 100}),
        (Workload(MEBI, kept=1), {"disk": 256}),
    ],
)
def test_sizes_follow_from_the_need(need, expected):
    found = vars(compute_sizing(need))
    assert {name: found[name] for name in expected} == expected
    assert found["memory"] * MEBI > 670 * MEBI + 2 * (260 * MEBI + 2 * need.size)
    assert found["memory"] % 256 == 0


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    with object_storage.running_storage():
        export = write_export(tmp_path_factory.mktemp("export") / "4", version=4)
        for version in (4, 7):
            destination = publication.publication_target(
                export, open_location("s3://models/production"), version=version
            )
            publication.publish(export, destination, {}, observer=Observer())
        yield "s3://models/production"


@pytest.mark.parametrize("name", SERVING)
def test_rendered_manifests_are_those_of_the_model(bert_serving, published, name, tmp_path):
    words = ["k8s", "render", "--model", "tiny", "--url", published, "--overlay", name, "--out", "out"]
    ended = bert_serving(*words, "--rate", 900, "--throughput", 100, "--processors", 4)
    assert (ended.status, ended.err) == (0, "")
    assert "900 texts/s at 100 texts/s each" in ended.out
    found = manifests.built(tmp_path / "out")
    assert [problem for each in found for problem in problems_of(each, "1.34")] == []
    text = json.dumps(found)
    assert "bike_shop" not in text
    assert "bike-shop" not in text
    assert {each["metadata"].get("namespace", "tiny") for each in found} == {"tiny"}
    for pod in pods(found).values():
        assert server_of(pod)["resources"]["limits"]["cpu"] == "4"
        assert {
            "--tensorflow_inter_op_parallelism=4",
            "--rest_api_num_threads=128",
            "--grpc_max_threads=640",
        } <= set(server_of(pod)["args"])
    for start in (each["data"] for each in of_kind(found, "ConfigMap") if "batching_parameters.txt" in each["data"]):
        batches = 2 if name == "gpu" else 4
        assert f"num_batch_threads {{ value: {batches} }}" in start["batching_parameters.txt"]
    if name.startswith("kserve"):
        (service,) = of_kind(found, "InferenceService")
        assert "name:   tiny for KServe and its clients, in the namespace tiny" in ended.out
        assert service["metadata"]["name"] == "tiny"
        predictor = service["spec"]["predictor"]
        assert predictor["minReplicas"] == 15
        if name == "kserve":
            assert predictor["model"]["storageUri"] == f"{published}/tiny"
            return
        assert predictor["storageUris"] == [{"uri": f"{published}/tiny/4", "mountPath": "/mnt/models/4"}]
        (canary,) = service["spec"]["canary"]
        assert canary["predictor"]["storageUris"] == [{"uri": f"{published}/tiny/7", "mountPath": "/mnt/models/7"}]
        return
    sources = [each["data"] for each in of_kind(found, "ConfigMap") if "SOURCE" in each["data"]]
    assert {each["SOURCE"] for each in sources} == {"store:models/production/tiny"}
    assert {each["spec"]["replicas"] for each in of_kind(found, "Deployment")} == {15}
    configs = "".join(
        each["data"]["models.config"] for each in of_kind(found, "ConfigMap") if "models.config" in each["data"]
    )
    assert ("versions: 4" in configs, "versions: 7" in configs) == (name.startswith("canary"),) * 2
    assert ("value: 4" in configs, "value: 7" in configs) == (name == "canary",) * 2
    assert ("version 4 serves, canary 7" in ended.out) == name.startswith("canary")


@pytest.mark.parametrize("name", ["canary", "canary-mesh"])
def test_without_a_second_version_no_label_leads_to_one(name, tmp_path):
    write_manifests(Deployment("tiny", "s3://models", 3, None, name, "tiny", Workload(MEBI)), tmp_path / "out")
    configs = [read_model_config_file(path) for path in sorted((tmp_path / "out" / "overlays").rglob("models.config"))]
    assert [[model.policy.specific for model in config] for config in configs] == [[(3,)]] * len(configs)
    assert [config[0].labels for config in configs] == ([{"stable": 3}] if name == "canary" else [{}, {}])


def test_without_a_folder_the_manifests_are_printed(bert_serving, published):
    ended = bert_serving("k8s", "render", "--model", "tiny", "--url", published)
    assert ended.err == ""
    assert {each["kind"] for each in yaml.safe_load_all(ended.out)} >= {"Deployment", "Service", "NetworkPolicy"}


def test_render_says_in_one_line_what_is_wrong(bert_serving, published, tmp_path):
    (tmp_path / "there").mkdir()
    write_export(tmp_path / "local" / "tiny" / "1")
    for words, message in (
        (["--model", "tiny", "--url", published, "--out", "there"], "there: exists; give a new folder with --out"),
        (
            ["--model", "tiny", "--url", published, "--overlay", "none"],
            "there is no overlay 'none'; give one of cpu, gpu",
        ),
        (["--model", "absent", "--url", published], "holds no versions"),
        (["--model", "tiny", "--url", "s3://absent"], "not found"),
        (["--model", "tiny", "--url", "local"], "pods can fetch models only from s3:// and gs://"),
        (["--model", "tiny", "--url", published, "--rate", -1], "--rate -1.0: give a number over 0"),
        (["--model", "tiny", "--url", published, "--namespace", "A b"], "'A b' cannot name a Kubernetes namespace: "),
    ):
        ended = bert_serving("k8s", "render", *words)
        assert (ended.status, message in ended.err, ended.err.count("\n")) == (2, True, 1), (words, ended)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["local", "there"]


def test_google_storage_is_told_to_rclone(tmp_path):
    deployed = Deployment("emotion", "gs://bucket/models", 7, None, "cpu", "emotion", Workload(MEBI))
    write_manifests(deployed, tmp_path / "out")
    (source,) = [
        each["data"] for each in of_kind(manifests.built(tmp_path / "out"), "ConfigMap") if "SOURCE" in each["data"]
    ]
    assert (source["SOURCE"], source["RCLONE_CONFIG_STORE_TYPE"]) == (
        "store:bucket/models/emotion",
        "google cloud storage",
    )
    assert "RCLONE_CONFIG_STORE_PROVIDER" not in source
