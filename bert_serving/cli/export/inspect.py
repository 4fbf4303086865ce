"""`bert-serving inspect`: contents of a SavedModel."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bert_serving.cli.options import SavedModelArgument
from bert_serving.console import command_observer, console, print_json, show_lines, show_table
from bert_serving.saved_model.manifest import Manifest, load_manifest
from bert_serving.wording import score_name

if TYPE_CHECKING:
    from bert_serving.saved_model.operations.audit import OperationAudit

_SHOWN_FACTS = (
    "name",
    "version",
    "created",
    "head",
    "labels",
    "pairs",
    "sequence_length",
    "long_texts",
    "graph",
    "precision",
    "encoder",
    "versions",
)


def inspect(
    saved_model: SavedModelArgument,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Show a SavedModel's signatures, operations, file sizes and manifest, without loading it."""
    from bert_serving.saved_model.versions import latest_version

    folder = latest_version(saved_model)
    # The model is not loaded: its operations may be missing from this process, or unsafe to run.
    with command_observer(as_json=as_json).stage("Reading the model"):
        from bert_serving.saved_model.operations.audit import audit_operations, read_signatures

        audit = audit_operations(folder)
        signatures = read_signatures(folder)
    manifest = load_manifest(folder)
    sizes = {str(path.relative_to(folder)): path.stat().st_size for path in sorted(folder.rglob("*")) if path.is_file()}
    if as_json:
        operations = {
            "oldest_tf_serving": audit.oldest_tf_serving,
            "newest": {need.what: need.version for need in audit.newest()},
            "missing": audit.missing,
            "unsafe": audit.unsafe,
            "all": audit.operations,
        }
        facts = None if manifest is None else manifest.model_dump(mode="json")
        print_json(
            {"folder": folder, "signatures": signatures, "operations": operations, "sizes": sizes, "manifest": facts}
        )
        return
    rows = [
        [name, direction, key, form]
        for name, sides in signatures.items()
        for direction, tensors in sides.items()
        for key, form in tensors.items()
    ]
    show_table(f"Signatures of {folder}", ("signature", "", "tensor", "dtype and shape"), rows)
    files = {**sizes, "total": sum(sizes.values())}
    show_table("Files", ("file", "bytes"), [[name, f"{size:,}"] for name, size in files.items()])
    console.print()
    for line in _operations(audit):
        show_lines(f"  {line}")
    if manifest is not None:
        show_table("Manifest", ("fact", "value"), _facts(manifest))


def _facts(manifest: Manifest) -> list[list[str]]:
    values = manifest.model_dump(mode="json")
    rows = [[key.replace("_", " "), _plain(values[key])] for key in _SHOWN_FACTS]
    if manifest.thresholds:
        pairs = zip(manifest.labels, manifest.thresholds, strict=True)
        rows.append(["thresholds", ", ".join(f"{label} {threshold:.3f}" for label, threshold in pairs)])
    rows.append(["verified", _verification(manifest)])
    return rows + [
        [score_name(key), f"{value:.4f}"] for key, value in values["metrics"].items() if isinstance(value, float)
    ]


def _operations(audit: "OperationAudit") -> Iterator[str]:
    """Lines on the operations that a server must support."""
    kinds = f"operations: {len(audit.operations)} kinds"
    if audit.missing:
        yield f"{kinds}; not supported by any TensorFlow Serving release: {', '.join(audit.missing)}"
    else:
        newest = ", ".join(need.what for need in audit.newest())
        reason = f" (because of {newest})" if newest else ""
        yield f"{kinds}; supported by TensorFlow Serving {audit.oldest_tf_serving} and later{reason}"
    for name, reason in audit.unsafe.items():
        yield f"a server must not run {name}: it {reason}"


def _verification(manifest: Manifest) -> str:
    verification = manifest.verification
    if verification is None or not verification.passed:
        return "no"
    difference = verification.max_probability_difference or 0
    agreement = "" if verification.agreement is None else f"; {verification.agreement.summary()}"
    return f"{verification.golden_texts} golden texts, largest difference of a probability {difference:.1e}{agreement}"


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{key} {part}" for key, part in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
