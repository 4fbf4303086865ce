"""`bert-serving inspect`: what is in a SavedModel."""

from pathlib import Path
from typing import Annotated

import typer

from bert_serving.cli.display import ConsoleObserver, console, print_json, show_table, spelled
from bert_serving.saved_model.manifest import Manifest


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
    with (Observer() if as_json else ConsoleObserver()).stage("Loading the model"):
        from bert_serving.saved_model.operations import audit_operations
        from bert_serving.saved_model.reader import ExportedModel

        audit = audit_operations(folder)
        model = ExportedModel(folder)
    signatures = {
        name: {
            "inputs": {
                key: f"{value.dtype.name} {value.shape}"
                for key, value in function.structured_input_signature[1].items()
            },
            "outputs": {key: f"{value.dtype.name} {value.shape}" for key, value in function.structured_outputs.items()},
        }
        for name, function in model.signatures.items()
    }
    sizes = {str(path.relative_to(folder)): path.stat().st_size for path in sorted(folder.rglob("*")) if path.is_file()}
    manifest = None if model.manifest is None else model.manifest.model_dump(mode="json")
    if as_json:
        operations = {
            "oldest_tf_serving": audit.oldest_tf_serving,
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
    console.print(
        f"\n  operations: {len(audit.operations)} kinds; those of TensorFlow Text are in TensorFlow Serving "
        f"{audit.oldest_tf_serving or '(none)'} and later",
        soft_wrap=True,
    )
    for title, names in (("no stock TensorFlow Serving has", audit.missing), ("touch files or run code", audit.unsafe)):
        if names:
            console.print(f"  {title}: {', '.join(names)}", soft_wrap=True, markup=False)
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
        rows.append(["verified", _verdict(model.manifest)])
        rows += [
            [spelled(key), f"{value:.4f}"] for key, value in manifest["metrics"].items() if isinstance(value, float)
        ]
        show_table("Manifest", ("fact", "value"), rows)


def _verdict(manifest: Manifest | None) -> str:
    found = manifest.verification if manifest else None
    if found is None or not found.passed:
        return "no"
    return f"{found.golden_texts} golden texts, largest difference of a probability {found.largest_difference or 0:.1e}"


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{key} {each}" for key, each in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
