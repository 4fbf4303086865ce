"""The life of a model server: load, listen, answer, stop."""

import asyncio
import contextlib
import logging
import socket
import threading
from collections.abc import Iterator
from typing import Self

import grpc
import tensorflow as tf
import uvicorn

from bert_serving.errors import InputError
from bert_serving.model_server.config_reload import ConfigFile
from bert_serving.model_server.executor import Executor
from bert_serving.model_server.grpc_services import add_services
from bert_serving.model_server.model_store import ModelStore
from bert_serving.model_server.options import ServerOptions
from bert_serving.model_server.rest_api import RestApi
from bert_serving.model_server.rest_app import build_rest_app
from bert_serving.model_server.watcher import Watcher
from bert_serving.model_server.workers import Workers

_log = logging.getLogger("bert_serving.model_server")

STOP_SECONDS = 5.0


class ModelServer:
    """A gRPC and REST server on the running event loop.

    Attributes:
        store: the models.
        grpc_port: bound gRPC port, None while off.
        rest_port: bound REST port, None while off.
    """

    def __init__(self, options: ServerOptions):
        self.options = options
        self.store = ModelStore(options)
        self.grpc_port: int | None = None
        self.rest_port: int | None = None
        # For requests that are large to read, and for what is no inference.
        self._workers = Workers(options.max_threads)
        batches = options.batching is not None and not options.per_model_batching
        threads = options.batching.num_batch_threads if batches and options.batching else options.max_threads
        self._executor = Executor(threads, most_waiting=options.max_waiting_requests)
        self._watcher = Watcher()
        self._grpc: grpc.aio.Server | None = None
        self._rest: uvicorn.Server | None = None
        self._rest_task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Loads the models, then opens the ports.

        Raises:
            InputError: a model without base path or version, or a port that is taken.
        """
        _set_parallelism(self.options)
        await self._workers.run(self.store.load)
        await self._start_grpc()
        await self._start_rest()
        self._start_watcher()
        _log.info("Listening: gRPC %s, REST %s", _shown(self.grpc_port), _shown(self.rest_port))

    async def stop(self, *, seconds: float = STOP_SECONDS) -> None:
        """Closes the ports at once and gives the requests that are being answered some time to finish."""
        self._watcher.stop()
        if self._rest is not None:
            self._rest.should_exit = True
        stops = [self._grpc.stop(seconds)] if self._grpc is not None else []
        if self._rest_task is not None:
            stops.append(asyncio.wait_for(self._rest_task, seconds + 1.0))
        await asyncio.gather(*stops, return_exceptions=True)
        self._executor.close()
        self._workers.close()
        self.store.close()

    @property
    def busy(self) -> bool:
        """Whether an operation still runs that nothing can interrupt."""
        return self._workers.busy or self._executor.busy or self.store.busy

    def _start_watcher(self) -> None:
        options = self.options
        self._watcher.add(options.file_system_poll_wait_seconds, self.store.poll)
        if options.model_config_file is not None:
            file = ConfigFile(options.model_config_file)
            self._watcher.add(options.model_config_file_poll_wait_seconds, lambda: file.poll(self.store))
        self._watcher.start()

    async def _start_grpc(self) -> None:
        options = self.options
        if options.port is None and options.grpc_socket_path is None:
            return
        arguments: list[tuple[str, str | int]] = [
            ("grpc.max_receive_message_length", -1),
            ("grpc.max_send_message_length", -1),
            # Otherwise a second server on the same port starts without complaint and takes half of the requests.
            ("grpc.so_reuseport", 0),
            *options.grpc_channel_arguments,
        ]
        server = grpc.aio.server(options=arguments)
        add_services(server, self.store, self._workers, self._executor, tensor_content=options.tensor_content)
        if options.port is not None:
            self.grpc_port = _bind_grpc(server, f"{options.host or '[::]'}:{options.port}")
        if options.grpc_socket_path is not None:
            _bind_grpc(server, f"unix:{options.grpc_socket_path}")
        await server.start()
        self._grpc = server

    async def _start_rest(self) -> None:
        if self.options.rest_api_port is None:
            return
        listener = _bind_rest(self.options.host, self.options.rest_api_port)
        app = build_rest_app(RestApi(self.store), self._workers, self._executor)
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            server_header=False,
            timeout_graceful_shutdown=int(STOP_SECONDS),
        )
        self._rest = _RestServer(config)
        self._rest_task = asyncio.create_task(self._rest.serve(sockets=[listener]))
        while not self._rest.started and not self._rest_task.done():
            await asyncio.sleep(0.005)
        if self._rest_task.done():
            await self._rest_task
        self.rest_port = listener.getsockname()[1]


class _RestServer(uvicorn.Server):
    """Leaves signals to whoever runs the event loop."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class ServerThread:
    """A model server on a thread of this process, as a context manager.

    Raises:
        InputError: on entering, when the server cannot start.
    """

    def __init__(self, options: ServerOptions):
        self.server = ModelServer(options)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="model-server-loop", daemon=True)

    @property
    def grpc_address(self) -> str:
        """host:port for gRPC clients."""
        return f"{self.server.options.host or '127.0.0.1'}:{self.server.grpc_port}"

    @property
    def rest_url(self) -> str:
        """Base URL for REST clients, without a slash at its end."""
        return f"http://{self.server.options.host or '127.0.0.1'}:{self.server.rest_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            asyncio.run_coroutine_threadsafe(self.server.start(), self._loop).result()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self.server.stop(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


def _set_parallelism(options: ServerOptions) -> None:
    try:
        if options.intra_op_parallelism:
            tf.config.threading.set_intra_op_parallelism_threads(options.intra_op_parallelism)
        if options.inter_op_parallelism:
            tf.config.threading.set_inter_op_parallelism_threads(options.inter_op_parallelism)
    except RuntimeError:
        _log.warning("TensorFlow has already started its threads: the parallelism options have no effect")


def _bind_grpc(server: grpc.aio.Server, address: str) -> int:
    try:
        port = server.add_insecure_port(address)
    except RuntimeError:
        port = 0
    if port == 0:
        raise InputError(f"Cannot listen for gRPC on {address}: is it taken? Choose another --port")
    return port


def _bind_rest(host: str | None, port: int) -> socket.socket:
    try:
        if host is None and socket.has_dualstack_ipv6():
            listener = socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
        else:
            listener = socket.create_server((host or "", port))
    except OSError as error:
        raise InputError(
            f"Cannot listen for REST on port {port}: {error.strerror}. Choose another --rest_api_port"
        ) from None
    # Connections inherit it. asyncio does not set it on a socket that it did not make itself, and without it a small
    # answer waits 40 ms for the client's acknowledgement of its headers.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _shown(port: int | None) -> str:
    return "off" if port is None else f"port {port}"
