"""The life of a model server: load, listen, answer, stop."""

import asyncio
import logging
import socket
import threading
from typing import Any, Self

import grpc
import tensorflow as tf
from grpc_health.v1 import health_pb2_grpc
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4
from starlette.responses import Response

from bert_serving.errors import InputError
from bert_serving.model_server.batching.executor import Executor
from bert_serving.model_server.batching.run import BatchRun
from bert_serving.model_server.config.options import ServerOptions
from bert_serving.model_server.config.tls import Tls
from bert_serving.model_server.event_loop import new_event_loop
from bert_serving.model_server.grpc_api.health import Health
from bert_serving.model_server.grpc_api.reflection import add_reflection
from bert_serving.model_server.grpc_api.services import add_services
from bert_serving.model_server.models.folders import lacks_version
from bert_serving.model_server.models.reload import ConfigFile
from bert_serving.model_server.models.store import ModelStore
from bert_serving.model_server.models.watcher import Watcher
from bert_serving.model_server.observability.access_log import AccessLog
from bert_serving.model_server.observability.events import RequestEvent
from bert_serving.model_server.observability.metrics import Metrics
from bert_serving.model_server.observability.request_log import RequestLog
from bert_serving.model_server.page.page import page_documents
from bert_serving.model_server.requests import RequestHandler
from bert_serving.model_server.rest_api.app import build_rest_app
from bert_serving.model_server.rest_api.http_server import HttpServer
from bert_serving.model_server.rest_api.operations import RestApi
from bert_serving.model_server.thread_pool import Workers

_log = logging.getLogger("bert_serving.model_server")

# How often to look for versions that are due for a retry.
_RETRY_POLL_SECONDS = 1.0


class ModelServer:
    """A gRPC and REST server on the running event loop.

    Attributes:
        store: the models.
        grpc_port: bound gRPC port, None while off.
        rest_port: bound REST port, None while off.
    """

    def __init__(self, options: ServerOptions):
        """Makes a server that `start` starts."""
        self.options = options
        self.store = ModelStore(options)
        self.grpc_port: int | None = None
        self.rest_port: int | None = None
        # Reads large requests, and loads models at the start.
        self._workers = Workers(options.rest_threads, most_waiting=options.max_waiting_requests)
        threads = options.max_threads if options.batching is None else options.batching.num_batch_threads
        self._executor = Executor(threads, most_waiting=options.max_waiting_requests, on_batch=self._count_batch)
        self._handler = RequestHandler(self._executor, options.limits, self._log_request)
        self._api = RestApi(self.store)
        self._metrics: Metrics | None = None
        self._access_log: AccessLog | None = None
        self._request_log = RequestLog()
        self._health: Health | None = None
        # Two threads, so that a reload, which waits for its models, does not delay new versions.
        self._version_watcher, self._config_watcher = Watcher(), Watcher()
        self._grpc: grpc.aio.Server | None = None
        self._rest: HttpServer | None = None

    async def start(self) -> None:
        """Waits until every model has a version, loads the models, then opens the ports.

        Raises:
            InputError: a base path, a port, a key or a certificate cannot be used.
        """
        if self.options.tls is not None:
            # gRPC's error for an unusable key does not name the key.
            self.options.tls.context()
        _set_parallelism(self.options)
        self._start_observing()
        await self._wait_for_versions()
        await self._workers.run(self.store.load)
        await self._start_grpc()
        await self._start_rest()
        self._start_watchers()
        _log.info("Listening: gRPC %s, REST %s", _port_text(self.grpc_port), _port_text(self.rest_port))

    async def stop(self, *, seconds: float | None = None) -> None:
        """Reports not ready, closes the ports, and gives running requests time to finish.

        Args:
            seconds: time for running requests; None takes it from the options.
        """
        seconds = self.options.grace_seconds if seconds is None else seconds
        self._api.draining = True
        if self._health is not None:
            await self._health.stop()
        self._version_watcher.stop()
        self._config_watcher.stop()
        stops = [self._grpc.stop(seconds)] if self._grpc is not None else []
        if self._rest is not None:
            stops.append(self._rest.stop(seconds))
        await asyncio.gather(*stops, return_exceptions=True)
        self._executor.close()
        self._workers.close()
        self.store.close()
        if self._access_log is not None:
            self._access_log.close()
        await asyncio.to_thread(self._request_log.close)

    @property
    def busy(self) -> bool:
        """Whether an operation still runs, which cannot be interrupted."""
        return self._workers.busy or self._executor.busy or self.store.busy

    async def _wait_for_versions(self) -> None:
        """Waits until every model has a version to load, for folders that are filled later."""
        seconds = self.options.file_system_poll_wait_seconds
        logged: set[str] = set()
        while seconds > 0:
            lacking = [reason for config in self.options.models if (reason := lacks_version(config))]
            if not lacking:
                return
            for reason in lacking:
                if reason not in logged:
                    _log.warning("%s; waiting for one with the ports closed", reason)
            logged.update(lacking)
            await asyncio.sleep(seconds)

    def _start_observing(self) -> None:
        if self.options.metrics_path is not None:
            self._metrics = Metrics(self.store, self._executor, lambda: self._request_log.dropped)
            self._handler.subscribe(self._metrics.count_request)
        if self.options.access_log is not None:
            self._access_log = AccessLog(self.options.access_log)
            self._handler.subscribe(self._access_log.write)

    def _log_request(self, event: RequestEvent, response: Any) -> None:
        model = self.store.config(event.model)
        config = self.options.request_log if model is None or model.logging is None else model.logging
        if config is not None:
            self._request_log.log(config, event, response)

    def _count_batch(self, run: BatchRun) -> None:
        if self._metrics is not None:
            self._metrics.count_batch(run)

    def _start_watchers(self) -> None:
        options = self.options
        self._version_watcher.add(options.file_system_poll_wait_seconds, self.store.poll)
        self._version_watcher.add(_RETRY_POLL_SECONDS, self.store.retry)
        self._version_watcher.start()
        if options.model_config_file is not None:
            file = ConfigFile(options.model_config_file, options.models)
            self._config_watcher.add(options.model_config_file_poll_wait_seconds, lambda: file.poll(self.store))
            self._config_watcher.start()

    async def _start_grpc(self) -> None:
        options = self.options
        if options.port is None and options.grpc_socket_path is None:
            return
        arguments: list[tuple[str, str | int]] = [
            ("grpc.max_receive_message_length", options.limits.max_request_bytes),
            ("grpc.max_send_message_length", -1),
            # Otherwise a second server could share the port and take half of the requests.
            ("grpc.so_reuseport", 0),
            *options.grpc_channel_arguments,
        ]
        server = grpc.aio.server(options=arguments)
        add_services(
            server,
            self.store,
            self._workers,
            self._handler,
            tensor_content=options.tensor_content,
            most_calls=options.grpc_max_threads,
        )
        await self._add_health(server)
        if options.port is not None:
            self.grpc_port = _bind_grpc(server, f"{options.host or '[::]'}:{options.port}", options.tls)
        if options.grpc_socket_path is not None:
            _bind_grpc(server, f"unix:{options.grpc_socket_path}", options.tls)
        await server.start()
        self._grpc = server

    async def _add_health(self, server: grpc.aio.Server) -> None:
        self._health = Health(self.store, asyncio.get_running_loop())
        await self._health.update()
        health_pb2_grpc.add_HealthServicer_to_server(self._health.servicer, server)
        add_reflection(server)

    async def _start_rest(self) -> None:
        if self.options.rest_api_port is None:
            return
        listener = _bind_rest(self.options.host, self.options.rest_api_port)
        documents = page_documents(self.store) if self.options.page else {}
        if self._metrics is not None and self.options.metrics_path is not None:
            metrics = self._metrics
            documents[self.options.metrics_path] = lambda: Response(metrics.text(), media_type=CONTENT_TYPE_PLAIN_0_0_4)
        app = build_rest_app(
            self._api,
            self._workers,
            self._handler,
            timeout=self.options.rest_timeout,
            cors=self.options.rest_cors,
            documents=documents,
        )
        tls = self.options.tls.context() if self.options.tls is not None and self.options.rest_tls else None
        self._rest = HttpServer(app, tls)
        await self._rest.start(listener)
        self.rest_port = listener.getsockname()[1]


class ServerThread:
    """A model server on a thread of this process, as a context manager.

    Raises:
        InputError: on entering, when the server cannot start.
    """

    def __init__(self, options: ServerOptions):
        """Makes a server that entering the context starts."""
        self.server = ModelServer(options)
        self._loop = new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="model-server-loop", daemon=True)

    @property
    def grpc_address(self) -> str:
        """host:port for gRPC clients."""
        return f"{self.server.options.host or '127.0.0.1'}:{self.server.grpc_port}"

    @property
    def rest_url(self) -> str:
        """Base URL for REST clients, without a slash at its end."""
        scheme = "https" if self.server.options.rest_tls else "http"
        return f"{scheme}://{self.server.options.host or '127.0.0.1'}:{self.server.rest_port}"

    def __enter__(self) -> Self:
        """Starts the server; returns when it listens."""
        self._thread.start()
        try:
            asyncio.run_coroutine_threadsafe(self.server.start(), self._loop).result()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Stops the server and its event loop."""
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


def _bind_grpc(server: grpc.aio.Server, address: str, tls: Tls | None) -> int:
    try:
        port: int = (
            server.add_insecure_port(address) if tls is None else server.add_secure_port(address, tls.credentials())
        )
    except RuntimeError:
        port = 0
    if port == 0:
        flag = "--grpc_socket_path" if address.startswith("unix:") else "--port"
        raise InputError(f"Cannot listen for gRPC on {address}: is it taken? Choose another {flag}")
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
    # Connections inherit it. asyncio sets it only on sockets that it makes itself; without it a
    # small answer waits 40 ms for the client's acknowledgment of its headers.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _port_text(port: int | None) -> str:
    return "off" if port is None else f"port {port}"
