"""Records the schemas of the custom resources in k8s/ from packages that carry them, as JSON schemas that know every field.

    npm pack @kubernetes-models/gateway-api@2.0.0 @kubernetes-models/prometheus-operator@6.0.0
    for each in kubernetes-models-*.tgz; do mkdir ${each%.tgz}; tar xzf $each -C ${each%.tgz}; done
    pip download --no-deps kserve==0.21.0 && unzip -q kserve-0.21.0-*.whl -d kserve
    pip download --no-deps kubeflow-trainer-api==2.3.0 && unzip -q kubeflow_trainer_api-2.3.0-*.whl -d trainer
    python tests/recorded/record_crd_schemas.py kubernetes-models-*/ kserve trainer > tests/recorded/crd_schemas.json

The last one has JobSet, too. All four packages are under Apache-2.0 or MIT; what is recorded are the names and types of fields.
Types of Kubernetes itself (metadata, containers) are left open: kubernetes-validate has those.
"""

import ast
import json
import re
import sys
from pathlib import Path
from typing import Any

KINDS = {
    "gateway.networking.k8s.io/v1/Gateway": "IoK8sSigsGatewayApiApisV1Gateway",
    "gateway.networking.k8s.io/v1/HTTPRoute": "IoK8sSigsGatewayApiApisV1HTTPRoute",
    "gateway.networking.k8s.io/v1/GRPCRoute": "IoK8sSigsGatewayApiApisV1GRPCRoute",
    "monitoring.coreos.com/v1/ServiceMonitor": "ComGithubPrometheusOperatorPrometheusOperatorPkgApisMonitoringV1ServiceMonitor",
    "monitoring.coreos.com/v1/PrometheusRule": "ComGithubPrometheusOperatorPrometheusOperatorPkgApisMonitoringV1PrometheusRule",
    "serving.kserve.io/v1beta1/InferenceService": "V1beta1InferenceService",
    "serving.kserve.io/v1alpha1/ServingRuntime": "V1alpha1ServingRuntime",
    "jobset.x-k8s.io/v1alpha2/JobSet": "JobsetV1alpha2JobSet",
    "trainer.kubeflow.org/v1alpha1/TrainJob": "TrainerV1alpha1TrainJob",
    "trainer.kubeflow.org/v1alpha1/TrainingRuntime": "TrainerV1alpha1TrainingRuntime",
}
_TYPESCRIPT = {"string": {"type": "string"}, "number": {"type": "number"}, "boolean": {"type": "boolean"}}
_PYTHON = {
    "str": {"type": "string"},
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "bool": {"type": "boolean"},
}
_PYDANTIC = {"StrictStr": _PYTHON["str"], "StrictInt": _PYTHON["int"], "StrictBool": _PYTHON["bool"]}


def typescript_definitions(folder: Path) -> dict[str, Any]:
    """Interfaces and type aliases of a package's declarations, by their full names."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*.d.ts")):
        text = re.sub(r"/\*.*?\*/", "", path.read_text("utf-8"), flags=re.DOTALL)
        alias = re.search(r"\bI\w+ as I(\w+)", text)
        interface = re.search(r"export interface I\w+(?: extends ([^{]+))? \{\n(.*?)\n\}", text, re.DOTALL)
        if alias and interface:
            schema = _object(interface[2])
            for base in (interface[1] or "").split(","):
                if base.strip() not in ("", "TypeMeta"):
                    schema.setdefault("$extends", []).append(base.strip()[1:])
            found[alias[1]] = schema
            continue
        plain = re.search(r"export (?:declare )?type I\w+ = ([^;]+);", text)
        if alias and plain:
            found[alias[1]] = _typescript(plain[1])
    return found


def _object(body: str) -> dict[str, Any]:
    fields = re.findall(r'^ {4}"([^"]+)"(\??): (.*?);$', body, re.MULTILINE | re.DOTALL)
    return {
        "type": "object",
        "properties": {name: _typescript(kind) for name, _, kind in fields},
        "required": [name for name, optional, _ in fields if not optional],
        "additionalProperties": False,
    }


def _typescript(kind: str) -> Any:
    kind = " ".join(kind.split())
    if kind in _TYPESCRIPT:
        return _TYPESCRIPT[kind]
    if match := re.fullmatch(r"Array<(.*)>", kind):
        return {"type": "array", "items": _typescript(match[1])}
    if match := re.fullmatch(r"\{ \[key: string\]: (.*?);? \}", kind):
        return {"type": "object", "additionalProperties": _typescript(match[1])}
    if re.fullmatch(r'("[^"]*"( \| )?)+', kind):
        return {"enum": re.findall(r'"([^"]*)"', kind)}
    if match := re.fullmatch(r"I((?:IoK8sSigs|ComGithub)\w+)", kind):
        return {"$ref": f"#/$defs/{match[1]}"}
    return True


def kserve_definitions(folder: Path) -> dict[str, Any]:
    """Models of KServe's client, which name the type of each field."""
    found = {}
    for path in sorted((folder / "kserve" / "models").glob("v1*.py")):
        for node in ast.parse(path.read_text("utf-8")).body:
            if not isinstance(node, ast.ClassDef):
                continue
            tables = {
                target.id: ast.literal_eval(each.value)
                for each in node.body
                if isinstance(each, ast.Assign)
                for target in each.targets
                if isinstance(target, ast.Name) and target.id in ("openapi_types", "attribute_map")
            }
            if len(tables) == 2:
                names = tables["attribute_map"]
                properties = {names[key]: _python(kind) for key, kind in tables["openapi_types"].items()}
                found[node.name] = {"type": "object", "properties": properties, "additionalProperties": False}
    return found


def _python(kind: str) -> Any:
    if kind in _PYTHON:
        return _PYTHON[kind]
    if match := re.fullmatch(r"list\[(.*)\]", kind):
        return {"type": "array", "items": _python(match[1])}
    if match := re.fullmatch(r"dict\(str, (.*)\)", kind):
        return {"type": "object", "additionalProperties": _python(match[1])}
    return {"$ref": f"#/$defs/{kind}"}


def trainer_definitions(folder: Path) -> dict[str, Any]:
    """Models of Trainer and JobSet, pydantic classes; a field without a default is required."""
    found = {}
    models = folder / "kubeflow_trainer_api" / "models"
    for path in sorted([*models.glob("jobset_*.py"), *models.glob("trainer_*.py")]):
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.ClassDef):
                fields = [each for each in node.body if isinstance(each, ast.AnnAssign) and _is_field(each)]
                optional = [each for each in fields if ast.unparse(each.annotation).startswith("Optional[")]
                found[node.name] = {
                    "type": "object",
                    "properties": {_field_name(each): _pydantic(each.annotation) for each in fields},
                    "required": [_field_name(each) for each in fields if each not in optional],
                    "additionalProperties": False,
                }
    return found


def _is_field(node: ast.AnnAssign) -> bool:
    return not ast.unparse(node.annotation).startswith("ClassVar[")


def _field_name(node: ast.AnnAssign) -> str:
    """The name in manifests, which `Field(alias=...)` tells where it differs from Python's."""
    keywords = node.value.keywords if isinstance(node.value, ast.Call) else []
    aliases = [each.value.value for each in keywords if each.arg == "alias" and isinstance(each.value, ast.Constant)]
    return str(aliases[0]) if aliases else ast.unparse(node.target)


def _pydantic(annotation: ast.expr) -> Any:
    kind = ast.unparse(annotation)
    if kind in _PYDANTIC:
        return _PYDANTIC[kind]
    if not isinstance(annotation, ast.Subscript):
        return {"$ref": f"#/$defs/{kind}"} if kind.startswith(("Jobset", "Trainer")) else True
    inner = annotation.slice
    match ast.unparse(annotation.value):
        case "Optional":
            return _pydantic(inner)
        case "List":
            return {"type": "array", "items": _pydantic(inner)}
        case "Dict" if isinstance(inner, ast.Tuple):
            return {"type": "object", "additionalProperties": _pydantic(inner.elts[1])}
    return True


def resolved(definitions: dict[str, Any]) -> dict[str, Any]:
    """Only what the kinds need; types that nobody defines are open, inherited fields are written out."""
    needed: dict[str, Any] = {}
    waiting = list(KINDS.values())
    while waiting:
        name = waiting.pop()
        if name in needed:
            continue
        schema = _with_inherited(name, definitions)
        needed[name] = schema
        waiting += re.findall(r'"#/\$defs/(\w+)"', json.dumps(schema))
    return dict(sorted(needed.items()))


def _with_inherited(name: str, definitions: dict[str, Any]) -> Any:
    schema = definitions.get(name, True)
    if not isinstance(schema, dict):
        return schema
    schema = dict(schema)
    for base in schema.pop("$extends", []):
        parent = _with_inherited(base, definitions)
        schema["properties"] = {**parent["properties"], **schema["properties"]}
        schema["required"] = [*parent["required"], *schema["required"]]
    return schema


def main() -> None:
    definitions: dict[str, Any] = {}
    for folder in map(Path, sys.argv[1:]):
        if (folder / "kserve").is_dir():
            definitions |= kserve_definitions(folder)
        elif (folder / "kubeflow_trainer_api").is_dir():
            definitions |= trainer_definitions(folder)
        else:
            definitions |= typescript_definitions(folder)
    missing = [name for name in KINDS.values() if name not in definitions]
    if missing:
        sys.exit(f"not in the packages: {', '.join(missing)}")
    sys.stdout.write(json.dumps({"kinds": KINDS, "$defs": resolved(definitions)}, indent=1) + "\n")


if __name__ == "__main__":
    main()
