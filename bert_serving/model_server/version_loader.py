"""What it takes to make a version folder answer requests."""

from pathlib import Path

from bert_serving.model_server.batching_parameters import PER_MODEL_FILE, BatchingParameters, read_batching_parameters
from bert_serving.model_server.options import ServerOptions
from bert_serving.model_server.servable import Servable
from bert_serving.model_server.version_table import VersionRecord
from bert_serving.model_server.warmup import replay_warmup


def load_version(name: str, record: VersionRecord, options: ServerOptions) -> Servable:
    """Loads and warms up a version; whatever fails here must keep it out of service.

    Raises:
        Exception: of any kind that a damaged SavedModel provokes; `failure.load_failure_of` names them.
    """
    servable = Servable.load(
        record.folder,
        name=name,
        version=record.version,
        tags=options.saved_model_tags,
        batching=_batching(record.folder, options),
    )
    if options.enable_model_warmup:
        replay_warmup(servable, record.folder, iterations=options.warmup_iterations)
    return servable


def _batching(folder: Path, options: ServerOptions) -> BatchingParameters | None:
    """The parameters of the version's own file, where such files count: a version without one is not batched then."""
    if options.batching is None or not options.per_model_batching:
        return options.batching
    file = folder / PER_MODEL_FILE
    return read_batching_parameters(file, defaults=options.batching) if file.is_file() else None
