"""`bert-serving inspect`: what is in a SavedModel."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bert_serving.cli.display import ConsoleObserver, console, print_json, show_table, spelled
from bert_serving.saved_model.manifest import Manifest, load_manifest

if TYPE_CHECKING:
    from bert_serving.saved_model.verification.operations import OperationAudit


def inspect(
    saved_model: Annotated[
        Path, typer.Argument(help="Version folder, or a folder of versions (the highest is taken).")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Show signatures, labels, operations, sizes and manifest."""
    from bert_serving.observer import Observer
    from bert_serving.saved_model.versions import latest_version

    folder = latest_version(saved_model)
    # Read, not loaded: a model may need operations that this process lacks, or ones that nobody should run.
    with (Observer() if as_json else ConsoleObserver()).stage("Reading the model"):
        from bert_serving.saved_model.verification.operations import audit_operations, read_signatures

        audit = audit_operations(folder)
        signatures = read_signatures(folder)
    found = load_manifest(folder)
    sizes = {str(path.relative_to(folder)): path.stat().st_size for path in sorted(folder.rglob("*")) if path.is_file()}
    manifest = None if found is None else found.model_dump(mode="json")
    if as_json:
        operations = {
            "oldest_tf_serving": audit.oldest_tf_serving,
            "newest": {need.what: need.version for need in audit.newest()},
            "missing": audit.missing,
            "unsafe": audit.unsafe,
            "all": audit.operations,
        }
        print_json(
            {"folder": folder, "signatures": signatures, "operations": operations, "sizes": sizes, "manifest": manifest}
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
        console.print(f"  {line}", soft_wrap=True, markup=False)
    if manifest:
        facts = (
            "name",
            "version",
            "created",
            "head",
            "labels",
            "pairs",
            "sequence_length",
            "graph",
            "precision",
            "encoder",
            "versions",
        )
        rows = [[key.replace("_", " "), _plain(manifest[key])] for key in facts]
        rows.append(["verified", _verdict(found)])
        rows += [
            [spelled(key), f"{value:.4f}"] for key, value in manifest["metrics"].items() if isinstance(value, float)
        ]
        show_table("Manifest", ("fact", "value"), rows)


def _operations(audit: "OperationAudit") -> Iterator[str]:
    """What the graph asks of a server, in lines."""
    kinds = f"operations: {len(audit.operations)} kinds"
    if audit.missing:
        yield f"{kinds}; no stock TensorFlow Serving has {', '.join(audit.missing)}"
    else:
        because = ", ".join(need.what for need in audit.newest())
        yield f"{kinds}; TensorFlow Serving {audit.oldest_tf_serving} and later have all{because and f' (because of {because})'}"
    for name, reason in audit.unsafe.items():
        yield f"a server must not run {name}: it {reason}"


def _verdict(manifest: Manifest | None) -> str:
    found = manifest.verification if manifest else None
    if found is None or not found.passed:
        return "no"
    return f"{found.golden_texts} golden texts, largest difference of a probability {found.max_probability_difference or 0:.1e}"


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{key} {each}" for key, each in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
