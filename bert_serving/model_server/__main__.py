"""`python -m bert_serving.model_server`: the embedded server as a process."""

import asyncio
import contextlib
import importlib
import logging
import os
import resource
import signal
import sys
from collections.abc import Sequence
from importlib import metadata
from typing import TYPE_CHECKING, NoReturn

from bert_serving import errors
from bert_serving.model_server.config.flags import Flags, parse_flags
from bert_serving.model_server.config.options import ServerOptions
from bert_serving.model_server.event_loop import new_event_loop
from bert_serving.model_server.models import memory
from bert_serving.model_server.models.folders import lacks_version
from bert_serving.version import __version__

if TYPE_CHECKING:
    from bert_serving.model_server.server import ModelServer

_log = logging.getLogger("bert_serving.model_server")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a model server until SIGTERM or SIGINT; returns the exit status."""
    _set_up_environment()
    _set_up_log()
    _raise_file_limit()
    # A thread that returns from TensorFlow should not wait 5 ms, the default, for the event loop.
    sys.setswitchinterval(0.0005)
    try:
        flags = parse_flags(sys.argv[1:] if arguments is None else arguments)
        if flags.options is None:
            sys.stdout.write(f"bert-serving model server {__version__}\nTensorFlow {metadata.version('tensorflow')}\n")
            return 0
        for config in flags.options.models:
            # Here as well as in the server, so that a mistyped path fails before TensorFlow is
            # imported.
            if (lacking := lacks_version(config)) and not flags.options.file_system_poll_wait_seconds:
                raise errors.InputError(lacking)
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(_serve_until_signal(flags.options, _warnings(flags)))
    except errors.BertServingError as error:
        _log.error("%s", error)
        return errors.exit_status(error)
    return 0


def _warnings(flags: Flags) -> list[str]:
    without_effect = ", ".join(flags.without_effect)
    return [*flags.repeated, *([f"No effect here: {without_effect}"] if without_effect else [])]


async def _serve_until_signal(options: ServerOptions, warnings: Sequence[str]) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    for warning in warnings:
        _log.warning("%s", warning)
    starting = asyncio.create_task(_start(options))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        _log.info("Stopped while starting")
        _leave()
    server = await starting
    await stopping
    _log.info("Stopping: requests have %g s to finish; a second signal ends at once", options.grace_seconds)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, _leave)
    await server.stop()
    if server.busy:
        _leave()


async def _start(options: ServerOptions) -> "ModelServer":
    # On a thread, so that signals are handled during the import of TensorFlow, which takes seconds.
    module = await asyncio.to_thread(importlib.import_module, "bert_serving.model_server.server")
    memory.freeze_startup_objects()
    server: ModelServer = module.ModelServer(options)
    try:
        await server.start()
    except errors.BertServingError:
        await server.stop()
        raise
    return server


def _leave() -> NoReturn:
    """Ends the process at once: a load or an operation of TensorFlow cannot be interrupted."""
    logging.shutdown()
    os._exit(0)


def _set_up_environment() -> None:
    # TensorFlow reads both once, when it is imported. Its errors arrive as exceptions; at level 2 a
    # client could fill the log with malformed tensors, each of which TensorFlow reports once more.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # No Keras is needed to serve, and the import of the legacy one is two seconds shorter.
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")


def _raise_file_limit() -> None:
    """Raises the limit of open files, usually 1,024: a thousand idle connections would reach it."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _set_up_log() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname).1s %(message)s"))
    _log.addHandler(handler)
    _log.setLevel(logging.INFO)
    _log.propagate = False


if __name__ == "__main__":
    sys.exit(main())
