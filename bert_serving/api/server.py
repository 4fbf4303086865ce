"""The embedded model server for tests and notebooks."""

import os
import tempfile
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from bert_serving.api.export import Export
from bert_serving.api.progress import observer_of
from bert_serving.api.served import ServedModel
from bert_serving.extras import require
from bert_serving.model_server.process import EMBEDDED, ModelServerProcess
from bert_serving.observer import Observer


class Server:
    """A model server in a process of its own, on free ports of this machine; `serve` starts it.

    Attributes:
        name: name of the model in requests.
        grpc_address: host:port for gRPC clients.
        rest_url: base URL for REST clients.

    In a test a fixture holds it:

    ```python
    import bert_serving as bs
    import pytest


    @pytest.fixture(scope="session")
    def server():
        with bs.serve("models/tiny") as running:
            yield running


    def test_the_model_answers(server):
        with bs.Client(server.rest_address) as client:
            assert client.predict("a good film")[0].label in client.describe().labels
    ```
    """

    def __init__(self, process: ModelServerProcess, name: str, folder: "tempfile.TemporaryDirectory[str]"):
        """Wraps a running process; use `serve`."""
        self.name = name
        self.grpc_address = process.grpc_address
        self.rest_url = process.rest_url
        self._process = process
        self._stop = weakref.finalize(self, _stopped, process, folder)

    @property
    def address(self) -> str:
        """The model's address, grpc://host:port/name, as `load` and `Client` take it."""
        return f"grpc://{self.grpc_address}/{self.name}"

    @property
    def rest_address(self) -> str:
        """The same over REST, http://host:port/name."""
        return f"{self.rest_url}/{self.name}"

    def model(self) -> ServedModel:
        """The served model, asked over gRPC."""
        return ServedModel(self.address)

    def log(self) -> str:
        """The output of the process so far."""
        return self._process.log() if self._stop.alive else ""

    def stop(self) -> None:
        """Ends the process; a second call does nothing."""
        self._stop()

    def __enter__(self) -> Self:
        """The running server."""
        return self

    def __exit__(self, *_: object) -> None:
        """Ends the process."""
        self.stop()

    def __repr__(self) -> str:
        """The addresses."""
        return f"Server({self.address!r}, {self.rest_address!r})"


def serve(
    source: Export | str | os.PathLike[str],
    *,
    name: str | None = None,
    flags: Sequence[str] = (),
    progress: bool | Observer | None = None,
) -> Server:
    """Starts the embedded model server with one export, and waits until it answers.

    Args:
        source: an `Export`, its version folder, or a folder of versions, of which the highest is served.
        name: name of the model in requests; None for the manifest's.
        flags: further flags of tensorflow_model_server, such as "--enable_batching=true".
        progress: whether to print the progress, or an observer; None prints it in a notebook and on a terminal.

    Returns:
        the running server; `with serve(...) as server:` stops it at the end.

    Raises:
        InputError: the extra `server` is not installed.
        ExportError: the folder is not an export.
        ServerUnavailable: the model cannot be loaded.

    ```python
    import bert_serving as bs

    with bs.serve("models/tiny") as server:
        print(server.model().predict("a good film")[0].label)
    ```
    """
    require("the model server", ("grpc", "starlette", "uvicorn", "prometheus_client"), "server")
    export = source if isinstance(source, Export) else Export(Path(source))
    model = export.name if name is None else name
    # This version alone, whatever lies beside it.
    folder = tempfile.TemporaryDirectory(prefix="bert-serving-")
    Path(folder.name, export.path.name).symlink_to(export.path.resolve())
    process = ModelServerProcess(folder.name, model, extra_flags=flags, program=EMBEDDED)
    try:
        with observer_of(progress).stage("Starting the model server"):
            process.start()
    except BaseException:
        folder.cleanup()
        raise
    return Server(process, model, folder)


def _stopped(process: ModelServerProcess, folder: "tempfile.TemporaryDirectory[str]") -> None:
    process.stop()
    folder.cleanup()
