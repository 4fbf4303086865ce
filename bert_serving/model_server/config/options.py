"""Options of a model server."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bert_serving import contract
from bert_serving.errors import InputError
from bert_serving.model_server.config.batching import BatchingParameters
from bert_serving.model_server.config.limits import Limits
from bert_serving.model_server.config.request_logging import RequestLogConfig
from bert_serving.model_server.config.tls import Tls

_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


@dataclass(frozen=True)
class VersionPolicy:
    """Which versions under a base path are served.

    Attributes:
        latest: number of the highest versions to serve; None serves all.
        specific: serve exactly these versions; overrides `latest` when not empty.
    """

    latest: int | None = 1
    specific: tuple[int, ...] = ()

    def choose(self, versions: Sequence[int]) -> list[int]:
        """The versions to serve, highest first."""
        highest_first = sorted(set(versions), reverse=True)
        if self.specific:
            return [version for version in highest_first if version in self.specific]
        return highest_first if self.latest is None else highest_first[: self.latest]


@dataclass(frozen=True)
class ModelConfig:
    """One model to serve.

    Attributes:
        name: name in requests.
        base_path: folder whose numeric subfolders are the versions.
        policy: which versions are served.
        labels: version label to version number.
        logging: its request log; None takes the server's.
    """

    name: str
    base_path: Path
    policy: VersionPolicy = VersionPolicy()
    labels: Mapping[str, int] = field(default_factory=dict)
    logging: RequestLogConfig | None = None


@dataclass(frozen=True, kw_only=True)
class ServerOptions:
    """Options of a model server.

    Attributes:
        models: what to serve.
        host: interface to listen on; None listens on all.
        port: gRPC port; 0 picks a free one, None is off.
        rest_api_port: REST port; 0 picks a free one, None is off.
        grpc_socket_path: also serve gRPC on this Unix socket.
        grpc_channel_arguments: name and value pairs for the gRPC server.
        grpc_max_threads: gRPC requests in flight, each of which holds a thread of TensorFlow
            Serving; more are refused with RESOURCE_EXHAUSTED. 0 is no limit.
        max_threads: requests that run in parallel without batching; the others wait.
        intra_op_parallelism: threads within one operation; 0 leaves it to TensorFlow.
        inter_op_parallelism: operations run in parallel; 0 leaves it to TensorFlow.
        enable_model_warmup: replay a version's warmup requests before it is AVAILABLE.
        warmup_iterations: replays of each warmup request.
        saved_model_tags: tags of the meta graph to load.
        tensor_content: answer Predict with `tensor_content` instead of typed fields.
        file_system_poll_wait_seconds: seconds between looks at the base paths; 0 looks once.
        model_config_file: the file that `models` were read from.
        model_config_file_poll_wait_seconds: seconds between reads of that file; 0 reads it once.
        max_num_load_retries: retries for a version that failed to load.
        load_retry_interval: seconds between retries.
        load_threads: versions that are loaded in parallel.
        batching: limits of batches; None runs each request on its own.
        per_model_batching: batch by each version's own file, and no version without one.
        rest_timeout: seconds until a REST inference times out.
        rest_cors: allow cross-origin requests (CORS).
        rest_threads: threads that read large requests.
        page: serve the web page at the root of the REST port.
        limits: limits of one request.
        grace_seconds: seconds for requests to finish when the server stops.
        tls: key and certificates of the gRPC port; None is plain text.
        rest_tls: use them for the REST port as well.
        metrics_path: path of the Prometheus metrics; None is off.
        access_log: file that gets a line for each request; None is off.
        request_log: log of sampled requests; None is off.
        check_method_names: refuse a signature whose method name is that of another method.
        allow_unsafe_operations: load models with operations that access files or run code.
        tf_serving: version of TensorFlow Serving whose missing operations loads warn of.
        max_waiting_requests: requests that may wait for a thread; more are refused.
        allow_version_labels_for_unavailable_models: accept labels of versions not AVAILABLE.
    """

    models: Sequence[ModelConfig]
    host: str | None = "127.0.0.1"
    port: int | None = 0
    rest_api_port: int | None = 0
    grpc_socket_path: str | None = None
    grpc_channel_arguments: tuple[tuple[str, str | int], ...] = ()
    grpc_max_threads: int = 0
    max_threads: int = 4 * (os.cpu_count() or 1)
    intra_op_parallelism: int = 0
    inter_op_parallelism: int = 0
    enable_model_warmup: bool = True
    warmup_iterations: int = 1
    saved_model_tags: tuple[str, ...] = (contract.SERVING_TAG,)
    tensor_content: bool = False
    file_system_poll_wait_seconds: float = 1.0
    model_config_file: Path | None = None
    model_config_file_poll_wait_seconds: float = 0.0
    max_num_load_retries: int = 5
    load_retry_interval: float = 60.0
    load_threads: int = 1
    allow_version_labels_for_unavailable_models: bool = False
    batching: BatchingParameters | None = None
    per_model_batching: bool = False
    rest_timeout: float = 30.0
    rest_cors: bool = False
    rest_threads: int = 4 * (os.cpu_count() or 1)
    page: bool = True
    limits: Limits = field(default_factory=Limits)
    grace_seconds: float = 5.0
    tls: Tls | None = None
    rest_tls: bool = False
    metrics_path: str | None = None
    access_log: Path | None = None
    request_log: RequestLogConfig | None = None
    check_method_names: bool = False
    allow_unsafe_operations: bool = False
    tf_serving: str = "2.20"
    max_waiting_requests: int = 1000

    def __post_init__(self) -> None:
        """Checks that the options go together."""
        if not self.models:
            raise InputError("No model to serve: give at least one model name and base path")
        if self.port is None and self.rest_api_port is None and self.grpc_socket_path is None:
            raise InputError("No port is open: switch on the gRPC port, the REST port or the gRPC socket")
        if self.rest_tls and self.tls is None:
            raise InputError("--rest_api_tls needs --ssl_config_file: it holds the key and the certificate")
        if self.port and self.port == self.rest_api_port:
            raise InputError(f"gRPC and REST cannot share port {self.port}: choose two different ports")


def check_is_folder(model: str, base_path: str) -> None:
    """Refuses gs://, s3:// and other URIs, which would otherwise look like a missing folder.

    Raises:
        InputError: the base path is a URI.
    """
    if _URI.match(base_path):
        raise InputError(
            f"The base path of {model} is {base_path}: only folders are served here; copy the versions to one, or mount the bucket"
        )
