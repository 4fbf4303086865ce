"""What is wrong with a manifest, by the schemas of Kubernetes and of the custom resources in k8s/."""

import json
from collections.abc import Iterator
from typing import Any

import kubernetes_validate
from jsonschema import Draft202012Validator

from support.paths import RECORDED

VERSIONS = ("1.30", "1.32", "1.34", "1.37")
_SCHEMAS = json.loads((RECORDED / "crd_schemas.json").read_text())


def problems_of(manifest: dict[str, Any], version: str) -> list[str]:
    """What is wrong with a manifest in a version of Kubernetes; a field that nobody knows is wrong."""
    kind = f"{manifest['apiVersion']}/{manifest['kind']}"
    if kind not in _SCHEMAS["kinds"]:
        return _kubernetes_problems(manifest, version, kind)
    schema = {"$ref": f"#/$defs/{_SCHEMAS['kinds'][kind]}", "$defs": _SCHEMAS["$defs"]}
    found = [
        f"{kind} {error.json_path}: {error.message}" for error in Draft202012Validator(schema).iter_errors(manifest)
    ]
    return found or [each for part in _parts(manifest) for each in _kubernetes_problems(part, version, kind)]


def child_jobs(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    """Jobs that a JobSet makes, also the one that Trainer makes of a TrainingRuntime; none for other kinds."""
    if manifest["kind"] not in ("JobSet", "TrainingRuntime"):
        return []
    spec = manifest["spec"] if manifest["kind"] == "JobSet" else manifest["spec"]["template"]["spec"]
    return [
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {**each["template"].get("metadata", {}), "name": each["name"]},
            "spec": each["template"]["spec"],
        }
        for each in spec["replicatedJobs"]
    ]


def _parts(manifest: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What a custom resource holds of Kubernetes' own types, which its schema leaves open."""
    yield {"apiVersion": "v1", "kind": "ConfigMap", "metadata": manifest["metadata"]}
    yield from child_jobs(manifest)
    if manifest["kind"] == "TrainJob":
        given = manifest["spec"].get("trainer", {})
        container = {"name": "node", "env": given.get("env", []), "resources": given.get("resourcesPerNode", {})}
        pod = {"containers": [container]}
        yield {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "node"}, "spec": pod}


def _kubernetes_problems(manifest: dict[str, Any], version: str, kind: str) -> list[str]:
    try:
        kubernetes_validate.validate(manifest, version, strict=True)
    except kubernetes_validate.ValidationError as error:
        return [f"{kind} {error.path}: {error.message}"]
    return []
