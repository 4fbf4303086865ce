"""Manifests for Kubernetes: the project's kustomize folders, filled in for a model."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from bert_serving.errors import PublishError
from bert_serving.files import whole_folder
from bert_serving.publishing.kubernetes.sizing import Sizing
from bert_serving.publishing.rollout.models_config import ModelsConfig, Served

OVERLAYS = ("cpu", "gpu", "canary", "canary-mesh", "kserve")
"""those that serve a model"""

_SAMPLE = "bike_shop"
_SAMPLE_SOURCE = "store:models/bike_shop"
# How rclone is told of a storage.
_STORES = {
    "s3": {"TYPE": "s3", "PROVIDER": "AWS", "ENV_AUTH": "true"},
    "gs": {"TYPE": "google cloud storage", "ENV_AUTH": "true"},
}


@dataclass(frozen=True)
class Deployed:
    """A model and where it comes from.

    Attributes:
        model: its name on the server.
        url: the folder of models, s3:// or gs://.
        version: the one that serves.
        canary: the one that is tried with the canary overlays; None when there is no other yet.
        overlay: which of the kustomize overlays.
        namespace: of the cluster.
        sizing: what it asks for.
    """

    model: str
    url: str
    version: int
    canary: int | None
    overlay: str
    namespace: str
    sizing: Sizing

    def __post_init__(self) -> None:
        if self.overlay not in OVERLAYS:
            raise PublishError(f"there is no overlay {self.overlay!r}; there are {', '.join(OVERLAYS)}")
        if urlsplit(self.url).scheme not in _STORES or not urlsplit(self.url).netloc:
            raise PublishError(
                f"{self.url}: pods fetch models from s3:// and gs:// only; publish there, or edit model-source in k8s/base by hand"
            )
        if not re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", self.namespace):
            raise PublishError(
                f"{self.namespace!r} cannot name a namespace; give --namespace with small letters, digits and dashes"
            )


def write_manifests(deployed: Deployed, target: Path) -> None:
    """Writes a folder for `kubectl apply -k`: base and overlay as they are in the project, and on top what was computed.

    Raises:
        PublishError: the folder exists, or cannot be written.
    """
    if target.exists():
        raise PublishError(f"{target}: exists; give a new folder with --out")
    try:
        with whole_folder(target) as building:
            for part in ("base", "components", f"overlays/{deployed.overlay}"):
                shutil.copytree(_kustomize() / part, building / part)
            for path in building.rglob("*"):
                if path.is_file():
                    text = _filled_in(path.read_text("utf-8"), deployed)
                    path.write_text(_numbered(text, deployed) if path.name == "models.config" else text, "utf-8")
            (building / "kustomization.yaml").write_text(_top(deployed), "utf-8")
    except OSError as error:
        raise PublishError(f"{target}: cannot write it: {error.strerror}; choose another --out") from None


def rendered(folder: Path) -> str:
    """What `kubectl kustomize` makes of a folder.

    Raises:
        PublishError: there is no kubectl, or it refuses the folder.
    """
    program = shutil.which("kubectl")
    if program is None:
        raise PublishError(
            "there is no kubectl on PATH, which builds the manifests; install it, or give --out for the folder"
        )
    result = subprocess.run([program, "kustomize", str(folder)], capture_output=True, text=True, check=False)
    if result.returncode:
        raise PublishError(f"kubectl kustomize {folder}: {' '.join(result.stderr.split())}")
    return result.stdout


def _filled_in(text: str, deployed: Deployed) -> str:
    address = urlsplit(deployed.url)
    inside = "/".join(part for part in (address.netloc, address.path.strip("/"), deployed.model) if part)
    text = text.replace(_SAMPLE_SOURCE, f"store:{inside}").replace(
        f"s3://models/{_SAMPLE}", f"{address.scheme}://{inside}"
    )
    text = text.replace(_SAMPLE, deployed.model).replace(_SAMPLE.replace("_", "-"), deployed.namespace)
    settings = _STORES[address.scheme]
    lines = [f"      - RCLONE_CONFIG_STORE_{name}={value}" for name, value in settings.items()]
    return re.sub(r"(?:      - RCLONE_CONFIG_STORE_\w+=.*\n)+", "\n".join(lines) + "\n", text)


def _numbered(text: str, deployed: Deployed) -> str:
    """A models.config with the published versions: in the sample 1 serves, and 2 is its canary."""
    config = ModelsConfig(text, "models.config")
    served = config.served(deployed.model)
    if served.versions is None:
        return text
    numbers = {1: deployed.version, 2: deployed.canary or deployed.version}
    versions = sorted({numbers[each] for each in served.versions})
    # A label of a version that nobody has published yet would be an error for whoever asks for it.
    labels = {label: numbers[each] for label, each in served.labels.items() if each == 1 or deployed.canary}
    return config.change(deployed.model, Served(tuple(versions), labels)).text


def _top(deployed: Deployed) -> str:
    """The kustomization on top: namespace, and the computed numbers as patches."""
    sizing = deployed.sizing
    amounts = {"cpu": str(sizing.processors), "memory": f"{sizing.memory}Mi"}
    server = "/spec/template/spec/containers/0"
    arguments = {
        "tensorflow_inter_op_parallelism": sizing.processors,
        "rest_api_num_threads": sizing.threads,
        "grpc_max_threads": sizing.threads,
    }
    top: dict = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": deployed.namespace,
        "resources": [f"overlays/{deployed.overlay}"],
    }
    if deployed.overlay != "kserve":
        deployment: list[dict] = [
            {"op": "replace", "path": "/spec/replicas", "value": sizing.pods},
            *({"op": "replace", "path": f"{server}/resources/{kind}/{name}", "value": amount}
              for kind in ("requests", "limits") for name, amount in amounts.items()),
            {"op": "replace", "path": f"{server}/startupProbe/failureThreshold", "value": sizing.probe_failures},
            {"op": "replace", "path": "/spec/template/spec/volumes/0/emptyDir/sizeLimit", "value": f"{sizing.disk}Mi"},
            *({"op": "replace", "path": f"{server}/args/{place}", "value": f"--{name}={count}"}
              for name, count in arguments.items() for place in [_place(name)]),
        ]  # fmt: skip
        scaling = [
            {"op": "replace", "path": "/spec/minReplicas", "value": sizing.pods},
            {"op": "replace", "path": "/spec/maxReplicas", "value": sizing.most_pods},
        ]
        top["patches"] = [_patch("Deployment", deployment), _patch("HorizontalPodAutoscaler", scaling)]
    else:
        runtime = [
            {"op": "replace", "path": f"/spec/containers/0/resources/{kind}/{name}", "value": amount}
            for kind in ("requests", "limits")
            for name, amount in amounts.items()
        ]
        service = [
            {"op": "replace", "path": "/spec/predictor/minReplicas", "value": sizing.pods},
            {"op": "replace", "path": "/spec/predictor/maxReplicas", "value": sizing.most_pods},
        ]
        top["patches"] = [_patch("ServingRuntime", runtime), _patch("InferenceService", service)]
    comment = "# Written by `bert-serving k8s render`; kubectl apply -k this folder.\n"
    return comment + yaml.safe_dump(top, sort_keys=False, allow_unicode=True)


def _patch(kind: str, operations: list[dict]) -> dict:
    return {"target": {"kind": kind}, "patch": yaml.safe_dump(operations, sort_keys=False)}


def _kustomize() -> Path:
    """The project's kustomize folders: a copy in an installed wheel, k8s/ in a checkout."""
    copy = Path(__file__).with_name("kustomize")
    return copy if copy.is_dir() else Path(__file__).parents[3] / "k8s"


def _place(name: str) -> int:
    """Where an argument stands in the base's list."""
    text = (_kustomize() / "base" / "deployment.yaml").read_text("utf-8")
    arguments = yaml.safe_load(text)["spec"]["template"]["spec"]["containers"][0]["args"]
    return next(place for place, each in enumerate(arguments) if each.startswith(f"--{name}="))
