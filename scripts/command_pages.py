"""The pages of the reference about commands, flags of the server and errors, made from the code.

`scripts/generate_reference.py` writes them.
"""

import argparse
import inspect
from typing import Any

import typer

from bert_serving import errors
from bert_serving.cli.main import app
from bert_serving.model_server.config import flags

_MADE = "This page is made by `python scripts/generate_reference.py` from {source}.\n"

_COMMANDS = """\
# Commands

What `bert-serving COMMAND --help` shows. Exit status: 0 done; 1 the answer is no (a check failed, or a run broke off); 2 the input is
wrong, with one line that says what, the value received and what to do; 130 after Ctrl-C.
"""

_FLAGS = """\
# Flags of the server

The flags of `bert-serving serve` and `python -m bert_serving.model_server`: those of `tensorflow_model_server` and some more. Where they
differ: [server.md](server.md#flags).
"""

_ERRORS = """\
# Errors

Every error that the package raises on purpose derives from `bert_serving.errors.BertServingError`. Its text is one line: what is wrong,
the value received, what to do. A command that ends with one prints this line and no traceback.

| error | derives from | raised when | exit status | gRPC | HTTP |
|---|---|---|---|---|---|
"""

_MESSAGES = """\
Messages of `publish` and the other commands of a rollout: [publishing.md](../how_to/publishing.md#error-messages); of `verify`:
[verification.md](../explanation/verification.md); of a signature that refuses its input:
[signatures.md](signatures.md#what-the-signatures-refuse).
"""


def commands_page() -> str:
    """The page of all commands with their arguments and options."""
    made = _MADE.format(source="`bert_serving/cli/`")
    return "\n".join([_COMMANDS, made, *_sections(typer.main.get_command(app), ())])


def flags_page() -> str:
    """The page of the server's flags."""
    # The parser is private to its module, whose callers need its result alone.
    parser = flags._build_parser()
    rows = [
        f"| `--{action.option_strings[0].lstrip('-')}` | {_cell(str(action.help))} |"
        for action in parser._actions
        if action.option_strings and action.help is not argparse.SUPPRESS and action.dest != "help"
    ]
    made = _MADE.format(source="`bert_serving/model_server/config/flags.py`")
    accepted = f"Accepted without effect: {', '.join(f'`--{name}`' for name in flags._NO_EFFECT)}.\n"
    return "\n".join([_FLAGS, made, "| flag | |", "|---|---|", *rows, "", accepted])


def errors_page() -> str:
    """The page of all errors with their exit status and codes."""
    rows = [_error_row(error) for error in vars(errors).values() if _is_error(error)]
    made = _MADE.format(source="`bert_serving/errors.py`")
    return "\n".join([_ERRORS.rstrip("\n"), *rows, "", _MESSAGES, made])


# --- Commands ---


def _sections(command: Any, words: tuple[str, ...]) -> list[str]:
    if hasattr(command, "commands"):
        return [line for name, each in command.commands.items() for line in _sections(each, (*words, name))]
    return [f"## `{' '.join(words)}`", "", _text(command.help), "", *_parameters(command), ""]


def _parameters(command: Any) -> list[str]:
    if command.name == "serve":
        return ["It takes [the flags of the server](flags.md)."]
    shown = [each for each in command.params if each.name != "help" and not each.hidden]
    return ["| argument or option | | default |", "|---|---|---|", *map(_parameter_row, shown)]


def _parameter_row(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        name = parameter.metavar or parameter.name.upper()
    else:
        name = ", ".join(parameter.opts + parameter.secondary_opts)
    return f"| `{_cell(name)}` | {_cell(parameter.help)} | {_default(parameter)} |"


def _default(parameter: Any) -> str:
    if parameter.required:
        return "needed"
    value = parameter.default
    # Options without a value are off, and what a function computes is no default to read.
    if value is None or value is False or value == () or value == [] or callable(value):
        return ""
    return f"`{getattr(value, 'value', value)}`"


# --- Errors ---


def _is_error(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, errors.BertServingError)


def _error_row(error: type[errors.BertServingError]) -> str:
    first = (inspect.getdoc(error) or "").splitlines()[0]
    base = error.__mro__[1].__name__
    code = error.grpc_code
    return f"| `{error.__name__}` | `{base}` | {first} | {error.exit_status} | {code} | {errors.http_status(code)} |"


def _text(text: str | None) -> str:
    return " ".join((text or "").split())


def _cell(text: str | None) -> str:
    return _text(text).replace("|", "\\|")
