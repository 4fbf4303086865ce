"""What it takes to make a version folder answer requests."""

import logging

from bert_serving.model_server.options import ServerOptions
from bert_serving.model_server.servable import Servable
from bert_serving.model_server.version_table import VersionRecord
from bert_serving.model_server.warmup import replay_warmup

_log = logging.getLogger("bert_serving.model_server")


def load_version(name: str, record: VersionRecord, options: ServerOptions) -> Servable:
    """Loads and warms up a version; whatever fails here must keep it out of service.

    Raises:
        Exception: of any kind that a damaged SavedModel provokes; `failure.load_failure_of` names them.
    """
    servable = Servable.load(record.folder, name=name, version=record.version, tags=options.saved_model_tags)
    if options.enable_model_warmup:
        replay_warmup(servable, record.folder, iterations=options.warmup_iterations)
    return servable
