"""Loads a version folder: audit of its operations, SavedModel, batching parameters, warmup."""

import logging
import time
from dataclasses import replace
from pathlib import Path

from bert_serving.errors import ExportError, FailedPrecondition
from bert_serving.model_server.config.batching import PER_MODEL_FILE, BatchingParameters, read_batching_parameters
from bert_serving.model_server.config.options import ServerOptions
from bert_serving.model_server.inference.servable import Servable
from bert_serving.model_server.models.versions import VersionRecord
from bert_serving.model_server.models.warmup import replay_warmup
from bert_serving.saved_model.operations.audit import audit_operations
from bert_serving.saved_model.operations.versions import newest_known

_log = logging.getLogger("bert_serving.model_server")


def load_version(name: str, record: VersionRecord, options: ServerOptions) -> Servable:
    """Loads and warms up a version.

    Raises:
        Exception: any kind that a damaged SavedModel provokes; see `status_code.load_status`.
    """
    _audit(name, record, options)
    servable = Servable.load(
        record.folder,
        name=name,
        version=record.version,
        tags=options.saved_model_tags,
        batching=_batching(record.folder, options),
        check_method_names=options.check_method_names,
    )
    if not options.enable_model_warmup:
        return servable
    started = time.monotonic()
    replayed = replay_warmup(servable, record.folder, iterations=options.warmup_iterations)
    return replace(servable, warmup_seconds=time.monotonic() - started) if replayed else servable


def _audit(name: str, record: VersionRecord, options: ServerOptions) -> None:
    """Refuses unsafe operations and warns of operations that TensorFlow Serving lacks."""
    try:
        audit = audit_operations(record.folder)
    except ExportError:
        return  # the loader describes the damage better
    if audit.unsafe and not options.allow_unsafe_operations:
        listed = ", ".join(f"{operation} ({reason})" for operation, reason in sorted(audit.unsafe.items()))
        raise FailedPrecondition(
            f"{name} version {record.version} has operations that a server must not run for an untrusted model: "
            f"{listed}; start with --allow_unsafe_operations if you trust it"
        )
    newest = newest_known()
    needs = {f"{need.what} (TensorFlow Serving {need.version})" for need in audit.needs_newer_than(options.tf_serving)}
    missing = {f"{operation} (no version up to {newest})" for operation in audit.missing}
    if needs or missing:
        _log.warning(
            "%s version %d would not run on TensorFlow Serving %s: %s",
            name,
            record.version,
            options.tf_serving,
            ", ".join(sorted(needs | missing)),
        )


def _batching(folder: Path, options: ServerOptions) -> BatchingParameters | None:
    """Batching parameters of a version; with per-model files, None without such a file."""
    if options.batching is None or not options.per_model_batching:
        return options.batching
    path = folder / PER_MODEL_FILE
    return read_batching_parameters(path, defaults=options.batching) if path.is_file() else None
