"""Entry point of the `bert-serving` command."""

import gc
import logging
import os
import sys
import warnings

import typer
from rich.markup import escape

from bert_serving import __version__
from bert_serving.cli import (
    calibrate,
    compare,
    demo,
    encoders,
    evaluate,
    explain,
    explore,
    export,
    inspect,
    k8s,
    label,
    predict,
    pretrain,
    prune,
    publish,
    report,
    rollback,
    serve,
    share,
    train,
    verify,
    versions,
    vocabulary,
    warmup,
)
from bert_serving.cli import map as map_command
from bert_serving.cli.display import error_console
from bert_serving.cli.offline import Offline
from bert_serving.errors import BertServingError, RenamedWarning, RunFileError, VerificationError, exit_status

_INTERRUPTED = 130
# Options of earlier versions, by command, each with its name of today.
_RENAMED_OPTIONS = {
    ("predict",): {"--patience": "--retry-timeout"},
    ("encoders", "new"): {
        "--layers": "--num-hidden-layers",
        "--width": "--hidden-size",
        "--heads": "--num-attention-heads",
        "--inner-width": "--intermediate-size",
        "--positions": "--max-position-embeddings",
    },
}

app = typer.Typer(
    name="bert-serving",
    help="From labeled text to a BERT classifier answering on TensorFlow Serving.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(demo.demo)
app.command()(explore.explore)
app.command()(train.train)
app.command()(evaluate.evaluate)
app.command()(report.report)
app.command()(calibrate.calibrate)
app.command()(explain.explain)
app.command("map")(map_command.map_features)
app.command()(export.export)
app.command()(verify.verify)
app.command()(inspect.inspect)
app.command()(predict.predict)
app.command()(share.share)
app.command()(warmup.warmup)
app.command()(publish.publish)
app.command()(versions.versions)
app.command()(label.label)
app.command()(rollback.rollback)
app.command()(prune.prune)
app.command()(compare.compare)
app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True}, add_help_option=False)(
    serve.serve
)
app.command()(vocabulary.vocabulary)
app.command()(pretrain.pretrain)
app.add_typer(encoders.app, name="encoders")
app.add_typer(k8s.app, name="k8s")


@app.callback(invoke_without_command=True)
def _options(
    version: bool = typer.Option(False, "--version", help="Show the version.", is_eager=True), offline: Offline = False
) -> None:
    if version:
        print(f"bert-serving {__version__}")
        raise typer.Exit


def main() -> None:
    """Runs a command; the one place that turns errors into exit statuses."""
    prepare_process()
    warnings.showwarning = _show_warning
    warnings.filterwarnings("always", category=RenamedWarning)
    try:
        app(_with_new_options(sys.argv[1:]), prog_name="bert-serving")
    except (RunFileError, VerificationError) as error:
        # Several problems at once: one line each, so that they can be mended in one go.
        subject = str(error).removesuffix("; ".join(error.problems))
        for problem in error.problems:
            _show_error(f"{subject}{problem}")
        sys.exit(exit_status(error))
    except BertServingError as error:
        _show_error(str(error))
        sys.exit(exit_status(error))
    except KeyboardInterrupt:
        error_console.print("interrupted")
        sys.exit(_INTERRUPTED)


def _with_new_options(arguments: list[str]) -> list[str]:
    """The arguments with today's names of options, and a line for each that had an earlier one."""
    renamed = next(
        (names for command, names in _RENAMED_OPTIONS.items() if tuple(arguments[: len(command)]) == command), {}
    )
    for place, argument in enumerate(arguments):
        option, equals, value = argument.partition("=")
        if option in renamed:
            warnings.warn(f"{option} is now {renamed[option]}", RenamedWarning, stacklevel=1)
            arguments[place] = f"{renamed[option]}{equals}{value}"
    return arguments


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    error_console.print("[bold yellow]warning:[/]", escape(str(message)), soft_wrap=True)


def _show_error(message: str) -> None:
    error_console.print("[bold red]error:[/]", escape(" ".join(message.split())), soft_wrap=True)


def prepare_process() -> None:
    """What a process needs in which this program is alone, before TensorFlow is imported."""
    quieten_tensorflow()
    # By default the collector looks after 700 new objects, again and again while TensorFlow's modules make theirs, which stay.
    gc.set_threshold(10_000, 10, 10)


def quieten_tensorflow() -> None:
    """Silences TensorFlow's and its companions' chatter; a user's own settings win."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # TensorFlow imports one Keras, by default the one that is not used here; this saves a quarter of its start.
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    for name in ("tensorflow", "absl"):
        logging.getLogger(name).setLevel(logging.ERROR)
    if not sys.warnoptions:
        warnings.filterwarnings("ignore")


if __name__ == "__main__":
    main()
