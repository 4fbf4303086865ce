"""From labeled text to a BERT classifier answering on TensorFlow Serving.

    import bert_serving as bs

    run = bs.train("run.toml")
    exported = bs.export(run, to="models")
    with bs.serve(exported) as server, bs.Client(server.address) as client:
        client.predict(["so good"])

The names below are the public interface. Each is imported with its first use, and TensorFlow when something needs it, so that
clients start in no time.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from bert_serving.extras import naming_extras
from bert_serving.version import __version__

if TYPE_CHECKING:
    from bert_serving.api.building import build_classifier, create_optimizer
    from bert_serving.api.classifier import TextClassifier
    from bert_serving.api.export import Export, export
    from bert_serving.api.rollout import Publication, label, prune, publish, rollback, versions
    from bert_serving.api.run import Run, train
    from bert_serving.api.scoring import score
    from bert_serving.api.served import ServedModel, load
    from bert_serving.api.server import Server, serve
    from bert_serving.api.tuning import Tuning, tune
    from bert_serving.clients.addressed import AsyncClient, Client
    from bert_serving.clients.prediction import Prediction
    from bert_serving.config import RunConfig
    from bert_serving.errors import BertServingError
    from bert_serving.observer import Observer

__all__ = [
    "AsyncClient",
    "BertServingError",
    "Client",
    "Export",
    "Observer",
    "Prediction",
    "Publication",
    "Run",
    "RunConfig",
    "ServedModel",
    "Server",
    "TextClassifier",
    "Tuning",
    "__version__",
    "build_classifier",
    "create_optimizer",
    "export",
    "label",
    "load",
    "prune",
    "publish",
    "rollback",
    "score",
    "serve",
    "train",
    "tune",
    "versions",
]

_MODULES = {
    "bert_serving.api.building": ("build_classifier", "create_optimizer"),
    "bert_serving.api.classifier": ("TextClassifier",),
    "bert_serving.api.export": ("Export", "export"),
    "bert_serving.api.rollout": ("Publication", "label", "prune", "publish", "rollback", "versions"),
    "bert_serving.api.run": ("Run", "train"),
    "bert_serving.api.scoring": ("score",),
    "bert_serving.api.served": ("ServedModel", "load"),
    "bert_serving.api.server": ("Server", "serve"),
    "bert_serving.api.tuning": ("Tuning", "tune"),
    "bert_serving.clients.addressed": ("AsyncClient", "Client"),
    "bert_serving.clients.prediction": ("Prediction",),
    "bert_serving.config": ("RunConfig",),
    "bert_serving.errors": ("BertServingError",),
    "bert_serving.observer": ("Observer",),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}
# Modules that need more than the extra `tensorflow`, or less, and the extra that has all of it.
_EXTRAS = {
    "bert_serving.api.server": "server",
    "bert_serving.api.rollout": "publish",
    "bert_serving.api.scoring": "beam",
    "bert_serving.api.tuning": "tune",
}


def __getattr__(name: str) -> Any:
    """Imports a public name with its first use."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with naming_extras(f"bert_serving.{name}", _EXTRAS.get(_MODULE_OF[name])):
        value = getattr(import_module(_MODULE_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names."""
    return sorted(__all__)
