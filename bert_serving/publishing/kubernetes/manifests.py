"""Kubernetes manifests: the project's kustomize folders with the values of a deployment."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from bert_serving.errors import PublishError
from bert_serving.io.files import whole_folder
from bert_serving.publishing.kubernetes.deployment import Deployment
from bert_serving.publishing.kubernetes.object_names import dashed
from bert_serving.publishing.rollout.models_config import ModelsConfig, ServedVersions

_SAMPLE = "bike_shop"
# rclone's settings for a storage, by URL scheme.
_RCLONE = {
    "s3": {"TYPE": "s3", "PROVIDER": "AWS", "ENV_AUTH": "true"},
    "gs": {"TYPE": "google cloud storage", "ENV_AUTH": "true"},
}


def write_manifests(deployment: Deployment, target: Path) -> None:
    """Writes a folder for `kubectl apply -k`: base, overlay, and patches with the computed values.

    Raises:
        PublishError: the folder exists, or cannot be written.
    """
    if target.exists():
        raise PublishError(f"{target}: exists; give a new folder with --out")
    try:
        with whole_folder(target) as building:
            for part in ("base", "components", *_overlay_folders(deployment.overlay)):
                shutil.copytree(_kustomize() / part, building / part)
            for path in building.rglob("*"):
                if path.is_file():
                    text = _with_names(path.read_text("utf-8"), deployment)
                    if path.name == "models.config":
                        text = _with_versions(text, deployment)
                    elif path.name == "batching_parameters.txt":
                        text = _with_batches(text, deployment)
                    path.write_text(text, "utf-8")
            (building / "kustomization.yaml").write_text(_kustomization(deployment), "utf-8")
    except OSError as error:
        raise PublishError(f"{target}: cannot write it: {error.strerror}; choose another --out") from None


def build_manifests(folder: Path) -> str:
    """Output of `kubectl kustomize` for a folder.

    Raises:
        PublishError: kubectl is not installed, or rejects the folder.
    """
    program = shutil.which("kubectl")
    if program is None:
        raise PublishError(
            "kubectl, which builds the manifests, is not on PATH; install it, or give --out for the folder"
        )
    result = subprocess.run([program, "kustomize", str(folder)], capture_output=True, text=True, check=False)
    if result.returncode:
        raise PublishError(f"kubectl kustomize {folder}: {' '.join(result.stderr.split())}")
    return result.stdout


def _with_names(text: str, deployment: Deployment) -> str:
    """A file with the deployment's model, namespace and storage instead of the sample's."""
    address = urlsplit(deployment.url)
    path = "/".join(part for part in (address.netloc, address.path.strip("/"), deployment.model) if part)
    names = {
        f"store:models/{_SAMPLE}": f"store:{path}",
        f"s3://models/{_SAMPLE}": f"{address.scheme}://{path}",
        _SAMPLE: deployment.model,
        _SAMPLE.replace("_", "-"): dashed(deployment.model),
    }
    # All at once: the model's own name may contain the sample's.
    text = re.sub("|".join(names), lambda found: names[found[0]], text)
    settings = _RCLONE[address.scheme]
    lines = [f"      - RCLONE_CONFIG_STORE_{name}={value}" for name, value in settings.items()]
    return re.sub(r"(?:      - RCLONE_CONFIG_STORE_\w+=.*\n)+", "\n".join(lines) + "\n", text)


def _with_versions(text: str, deployment: Deployment) -> str:
    """A models.config with the published versions; the sample has 1 and its canary 2."""
    config = ModelsConfig(text, "models.config")
    served = config.served(deployment.model)
    if served.versions is None:
        return text
    numbers = {1: deployment.version, 2: deployment.version if deployment.canary is None else deployment.canary}
    versions = sorted({numbers[sample] for sample in served.versions})
    # A label of a version that is not published would be an error for the clients that use it.
    labels = {
        label: numbers[sample]
        for label, sample in served.labels.items()
        if sample == 1 or deployment.canary is not None
    }
    return config.change(deployment.model, ServedVersions(tuple(versions), labels)).text


def _with_batches(text: str, deployment: Deployment) -> str:
    """A batching_parameters.txt with a batch for each processor; a GPU runs one while the next is prepared."""
    if deployment.overlay == "gpu":
        return text
    line = r"^num_batch_threads \{ value: \d+ \}$"
    return re.sub(line, f"num_batch_threads {{ value: {deployment.sizing.processors} }}", text, flags=re.MULTILINE)


def _kustomization(deployment: Deployment) -> str:
    """The top-level kustomization: namespace, and the computed values as patches."""
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": deployment.namespace,
        "resources": [f"overlays/{deployment.overlay}"],
        "patches": _kserve_patches(deployment) if deployment.is_kserve else _deployment_patches(deployment),
    }
    comment = "# Written by `bert-serving k8s render`; kubectl apply -k this folder.\n"
    return comment + str(yaml.safe_dump(kustomization, sort_keys=False, allow_unicode=True))


def _deployment_patches(deployment: Deployment) -> list[dict[str, Any]]:
    sizing = deployment.sizing
    server = "/spec/template/spec/containers/0"
    values: dict[str, Any] = {
        "/spec/replicas": sizing.min_pods,
        **_resources(deployment, server),
        f"{server}/startupProbe/failureThreshold": sizing.probe_failures,
        "/spec/template/spec/volumes/0/emptyDir/sizeLimit": f"{sizing.disk}Mi",
        **_flags(deployment, server, "base/deployment.yaml"),
    }
    scaling = {"/spec/minReplicas": sizing.min_pods, "/spec/maxReplicas": sizing.max_pods}
    return [_patch("Deployment", values), _patch("HorizontalPodAutoscaler", scaling)]


def _kserve_patches(deployment: Deployment) -> list[dict[str, Any]]:
    sizing = deployment.sizing
    scaling = {"/spec/predictor/minReplicas": sizing.min_pods, "/spec/predictor/maxReplicas": sizing.max_pods}
    service = [_patch("InferenceService", scaling)]
    if deployment.overlay == "kserve-standard":
        service.append(_patch("InferenceService", _stored(deployment, deployment.version, "/spec/predictor")))
        if deployment.canary is None:
            service.append(_patch("InferenceService", {"/spec/canary": None}, operation="remove"))
        else:
            canary = _stored(deployment, deployment.canary, "/spec/canary/0/predictor")
            service.append(_patch("InferenceService", canary))
    server = "/spec/containers/0"
    values = _resources(deployment, server) | _flags(deployment, server, "overlays/kserve/servingruntime.yaml")
    return [_patch("ServingRuntime", values), *service]


def _stored(deployment: Deployment, version: int, predictor: str) -> dict[str, str]:
    """URL and mount path of a version, by JSON path: the server wants its number below /mnt/models."""
    folder = deployment.folders.get(version, str(version))
    return {
        f"{predictor}/storageUris/0/uri": f"{deployment.url.rstrip('/')}/{deployment.model}/{folder}",
        f"{predictor}/storageUris/0/mountPath": f"/mnt/models/{version}",
    }


def _resources(deployment: Deployment, container: str) -> dict[str, str]:
    """Requests and limits of a container, which are equal, by JSON path."""
    amounts = {"cpu": str(deployment.sizing.processors), "memory": f"{deployment.sizing.memory}Mi"}
    return {
        f"{container}/resources/{kind}/{name}": amount
        for kind in ("requests", "limits")
        for name, amount in amounts.items()
    }


def _flags(deployment: Deployment, container: str, file: str) -> dict[str, str]:
    """The server's flags that depend on the size of a pod, by JSON path in a file of k8s/."""
    sizing = deployment.sizing
    values = {
        "tensorflow_inter_op_parallelism": sizing.processors,
        "rest_api_num_threads": sizing.rest_threads,
        "grpc_max_threads": sizing.grpc_threads,
    }
    lines = (_kustomize() / file).read_text("utf-8").splitlines()
    names = [line.strip()[4:].partition("=")[0] for line in lines if line.strip().startswith("- --")]
    return {f"{container}/args/{names.index(name)}": f"--{name}={value}" for name, value in values.items()}


def _patch(kind: str, values: dict[str, Any], operation: str = "replace") -> dict[str, Any]:
    """A kustomize patch that replaces (or removes) values, by JSON path."""
    operations = [{"op": operation, "path": path, "value": value} for path, value in values.items()]
    return {"target": {"kind": kind}, "patch": yaml.safe_dump(operations, sort_keys=False)}


def _overlay_folders(overlay: str) -> list[str]:
    """Folders of an overlay, and of the overlay that it changes."""
    return ["overlays/kserve", f"overlays/{overlay}"] if overlay == "kserve-standard" else [f"overlays/{overlay}"]


def _kustomize() -> Path:
    """The project's kustomize folders: a copy in an installed wheel, k8s/ in a checkout."""
    copy = Path(__file__).with_name("kustomize")
    return copy if copy.is_dir() else Path(__file__).parents[3] / "k8s"
