"""What `kubectl kustomize` makes of the folders in k8s/, and containers of it as processes of this machine."""

import functools
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml

from bert_serving.model_server.process import free_ports
from support.paths import ROOT

K8S = ROOT / "k8s"
TRAINING = ("training-job", "training-jobset", "training-kubeflow")
OVERLAYS = ("cpu", "gpu", "canary", "canary-mesh", "kserve", "kserve-standard", *TRAINING)


@functools.cache
def built(folder: Path) -> tuple[dict[str, Any], ...]:
    """The manifests of a kustomize folder."""
    program = shutil.which("kubectl")
    if program is None:
        pytest.skip("needs kubectl")
    result = subprocess.run([program, "kustomize", str(folder)], capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    assert "deprecated" not in result.stderr
    return tuple(yaml.safe_load_all(result.stdout))


def overlay(name: str) -> tuple[dict[str, Any], ...]:
    return built(K8S / "overlays" / name)


def of_kind(manifests: tuple[dict[str, Any], ...], kind: str) -> list[dict[str, Any]]:
    return [each for each in manifests if each["kind"] == kind]


def pods(manifests: tuple[dict[str, Any], ...]) -> dict[str, dict[str, Any]]:
    """Pod specifications by the name of what makes them."""
    found = {}
    for each in manifests:
        if each["kind"] in ("Deployment", "Job"):
            found[each["metadata"]["name"]] = each["spec"]["template"]["spec"]
        elif each["kind"] == "ServingRuntime":
            found[each["metadata"]["name"]] = each["spec"]
    return found


def server_of(pod: dict[str, Any]) -> dict[str, Any]:
    """The container that runs the model server."""
    return next(each for each in pod["containers"] if "tensorflow/serving" in each["image"])


def mount(pod: dict[str, Any], container: dict[str, Any], manifests: tuple[dict[str, Any], ...], root: Path) -> None:
    """Writes the ConfigMaps that a container mounts to where it mounts them, below `root`."""
    maps = {each["metadata"]["name"]: each["data"] for each in of_kind(manifests, "ConfigMap")}
    volumes = {each["name"]: each for each in pod["volumes"]}
    for each in container["volumeMounts"]:
        place = root / each["mountPath"].lstrip("/")
        place.mkdir(parents=True, exist_ok=True)
        assert "subPath" not in each, "a file that is mounted alone is never updated"
        if "configMap" in volumes[each["name"]]:
            for name, content in maps[volumes[each["name"]]["configMap"]["name"]].items():
                (place / name).write_text(content.replace('"/models/', f'"{root}/models/'))


def arguments_here(container: dict[str, Any], root: Path, model: str) -> tuple[list[str], dict[str, int]]:
    """A server's own arguments with the paths and ports of this machine, and the port for each that it names."""
    names = {port["name"]: port["containerPort"] for port in container["ports"]}
    given = {
        flag.split("=")[0]: int(flag.split("=")[1])
        for flag in container["args"]
        if flag.startswith(("--port=", "--rest_api_port="))
    }
    here = dict(zip(given, free_ports(len(given)), strict=True))
    arguments = []
    for each in container["args"]:
        flag, _, value = each.partition("=")
        if flag in here:
            value = str(here[flag])
        elif value.startswith(("/config", "/mnt/models", "/models")):
            value = f"{root}{value}"
        arguments.append(f"{flag}={value.replace('{{.Name}}', model)}")
    by_number = {given[flag]: here[flag] for flag in given}
    return arguments, {name: by_number[number] for name, number in names.items()} | {
        str(number): port for number, port in by_number.items()
    }


def probed(probe: dict[str, Any], ports: dict[str, int]) -> bool:
    """One look as the kubelet looks: HTTP status 200 to 399, or a connection."""
    seconds = probe.get("timeoutSeconds", 1)
    kind = "httpGet" if "httpGet" in probe else "tcpSocket"
    port = ports[str(probe[kind]["port"])]
    try:
        if kind == "tcpSocket":
            with socket.create_connection(("127.0.0.1", port), timeout=seconds):
                return True
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{probe[kind]['path']}", timeout=seconds) as answer:
            return 200 <= answer.status < 400
    except (OSError, urllib.error.HTTPError):
        return False


def started(probe: dict[str, Any], ports: dict[str, int], process: subprocess.Popen) -> bool:
    """Looks as often as a startup probe may fail."""
    for _ in range(probe["failureThreshold"]):
        if probed(probe, ports):
            return True
        if process.poll() is not None:
            return False
        time.sleep(probe["periodSeconds"])
    return False


def environment_of(container: dict[str, Any], manifests: tuple[dict[str, Any], ...]) -> dict[str, str]:
    """What a container's environment holds, from ConfigMaps and values."""
    maps = {each["metadata"]["name"]: each["data"] for each in of_kind(manifests, "ConfigMap")}
    found: dict[str, str] = {}
    for source in container.get("envFrom", ()):
        if "configMapRef" in source:
            found |= maps[source["configMapRef"]["name"]]
    for each in container.get("env", ()):
        value = each["value"]
        for name, known in found.items():
            value = value.replace(f"$({name})", known)
        found[each["name"]] = value
    return {"PATH": os.environ["PATH"], **found}
