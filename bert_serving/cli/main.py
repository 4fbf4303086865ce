"""Entry point of the `bert-serving` command."""

import gc
import logging
import os
import sys
import warnings
from collections.abc import Callable
from typing import Any

import typer
from rich.markup import escape

import bert_serving
from bert_serving.cli.analysis.explain import explain
from bert_serving.cli.analysis.report import report
from bert_serving.cli.data.explore import explore
from bert_serving.cli.data.map import map_features
from bert_serving.cli.data.vocabulary import vocabulary
from bert_serving.cli.demo import demo
from bert_serving.cli.export.export import export
from bert_serving.cli.export.inspect import inspect
from bert_serving.cli.export.share import share
from bert_serving.cli.export.verify import verify
from bert_serving.cli.export.warmup import warmup
from bert_serving.cli.options import Offline
from bert_serving.cli.publishing import k8s
from bert_serving.cli.publishing.label import label, rollback
from bert_serving.cli.publishing.prune import prune
from bert_serving.cli.publishing.publish import publish
from bert_serving.cli.publishing.versions import versions
from bert_serving.cli.restart import restart
from bert_serving.cli.serving.compare import compare
from bert_serving.cli.serving.predict import predict
from bert_serving.cli.serving.score import score
from bert_serving.cli.serving.serve import serve
from bert_serving.cli.training import encoders
from bert_serving.cli.training.calibrate import calibrate
from bert_serving.cli.training.evaluate import evaluate
from bert_serving.cli.training.pretrain import pretrain
from bert_serving.cli.training.train import train
from bert_serving.cli.training.tune import tune
from bert_serving.console import error_console
from bert_serving.errors import (
    BertServingError,
    RenamedWarning,
    RunFileError,
    VerificationError,
    WorkerLostError,
    exit_status,
)
from bert_serving.extras import naming_extras
from bert_serving.version import __version__

_INTERRUPTED = 130
# Commands and clients do without that file; `import bert_serving` offers nothing then.
_REPLACED = (
    "bert_serving/__init__.py is missing or that of another package, such as bert-serving-client; "
    "install this one last: pip install --force-reinstall --no-deps bert-serving"
)
# Former names of options and their present names, by command.
_RENAMED_OPTIONS = {
    ("predict",): {"--patience": "--retry-timeout"},
    ("vocabulary",): {"--column": "--text"},
    ("encoders", "new"): {
        "--layers": "--num-hidden-layers",
        "--width": "--hidden-size",
        "--heads": "--num-attention-heads",
        "--inner-width": "--intermediate-size",
        "--positions": "--max-position-embeddings",
    },
}

# Commands by panel of the help; a command's name is that of its function, or the one given.
_PANELS: dict[str, dict[str, Callable[..., None]]] = {
    "Start here": {"demo": demo},
    "Data": {"explore": explore, "vocabulary": vocabulary, "map": map_features},
    "Training": {"train": train, "tune": tune, "pretrain": pretrain, "evaluate": evaluate, "calibrate": calibrate},
    "Export": {"export": export, "verify": verify, "inspect": inspect, "share": share, "warmup": warmup},
    "Serving": {"serve": serve, "predict": predict, "score": score, "compare": compare},
    "Publishing": {"publish": publish, "versions": versions, "label": label, "rollback": rollback, "prune": prune},
    "Analysis": {"report": report, "explain": explain},
}
# Commands that need more than the extra `tensorflow`, or less, and the extra that has all of it.
_EXTRAS = {"serve": "server", "score": "beam", "tune": "tune"} | dict.fromkeys(_PANELS["Publishing"], "publish")
# `serve` passes all its arguments on to the model server, --help included.
_SERVE: dict[str, Any] = {
    "context_settings": {"allow_extra_args": True, "ignore_unknown_options": True},
    "add_help_option": False,
}

app = typer.Typer(
    name="bert-serving",
    help="From labeled text to a BERT classifier on TensorFlow Serving: train, export, serve, publish.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _panel, _commands in _PANELS.items():
    for _name, _command in _commands.items():
        app.command(_name, rich_help_panel=_panel, **(_SERVE if _command is serve else {}))(_command)
app.add_typer(encoders.app, name="encoders", rich_help_panel="Training")
app.add_typer(k8s.app, name="k8s", rich_help_panel="Publishing")


@app.callback(invoke_without_command=True)
def _options(
    version: bool = typer.Option(False, "--version", help="Show the version and exit.", is_eager=True),
    offline: Offline = False,  # noqa: ARG001  its callback sets the environment
) -> None:
    if version:
        print(f"bert-serving {__version__}")
        if not hasattr(bert_serving, "__version__"):
            _show_warning(_REPLACED)
        raise typer.Exit


def main() -> None:
    """Runs a command; turns errors into messages and exit statuses."""
    prepare_process()
    warnings.showwarning = _show_warning
    warnings.filterwarnings("always", category=RenamedWarning)
    try:
        arguments = _with_new_options(sys.argv[1:])
        command = next((argument for argument in arguments if not argument.startswith("-")), "")
        with naming_extras(f"bert-serving {command}", _EXTRAS.get(command)):
            app(arguments, prog_name="bert-serving")
    except (RunFileError, VerificationError) as error:
        # Several problems: one line each, so that all can be fixed at once.
        subject = str(error).removesuffix("; ".join(error.problems))
        for problem in error.problems:
            _show_error(f"{subject}{problem}")
        sys.exit(exit_status(error))
    except WorkerLostError as error:
        restart(str(error))
    except BertServingError as error:
        _show_error(str(error))
        sys.exit(exit_status(error))
    except KeyboardInterrupt:
        error_console.print("interrupted")
        sys.exit(_INTERRUPTED)


def _with_new_options(arguments: list[str]) -> list[str]:
    """The arguments with present names of options; warns of each former name."""
    renamed = next(
        (names for command, names in _RENAMED_OPTIONS.items() if tuple(arguments[: len(command)]) == command), {}
    )
    for position, argument in enumerate(arguments):
        option, equals, value = argument.partition("=")
        if option in renamed:
            warnings.warn(f"{option} is now {renamed[option]}", RenamedWarning, stacklevel=1)
            arguments[position] = f"{renamed[option]}{equals}{value}"
    return arguments


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    error_console.print("[bold yellow]warning:[/]", escape(str(message)), soft_wrap=True)


def _show_error(message: str) -> None:
    error_console.print("[bold red]error:[/]", escape(" ".join(message.split())), soft_wrap=True)


def prepare_process() -> None:
    """Prepares a process that runs only this program, before TensorFlow is imported."""
    quieten_tensorflow()
    # The default of 700 new objects makes the garbage collector run often during the import of
    # TensorFlow, whose objects stay.
    gc.set_threshold(10_000, 10, 10)


def quieten_tensorflow() -> None:
    """Silences TensorFlow and related libraries, unless the environment sets their log levels."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # Without this, TensorFlow imports Keras 3, which is not used here and takes a quarter of its
    # start-up time.
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    for name in ("tensorflow", "absl"):
        logging.getLogger(name).setLevel(logging.ERROR)
    if not sys.warnoptions:
        warnings.filterwarnings("ignore")


if __name__ == "__main__":
    main()
