"""The flags of tensorflow_model_server."""

import argparse
import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

from bert_serving import contract
from bert_serving.errors import InputError
from bert_serving.model_server.config.batching import (
    DEFAULT_TOKEN_BUDGET,
    BatchingParameters,
    read_batching_parameters,
)
from bert_serving.model_server.config.limits import Limits
from bert_serving.model_server.config.monitoring import read_metrics_path
from bert_serving.model_server.config.options import ModelConfig, ServerOptions
from bert_serving.model_server.config.request_logging import MOST_BYTES, RequestLogging
from bert_serving.model_server.config.tls import read_tls
from bert_serving.model_server.models.folders import check_is_no_uri

# Known to tensorflow_model_server (main.cc, tags up to 2.20.0), without meaning here.
_NO_EFFECT = (
    "enable_grpc_healthcheck_service",
    "enable_profiler",
    "flush_filesystem_caches",
    "mixed_precision",
    "num_tflite_interpreters_per_pool",
    "num_tflite_pools",
    "num_unload_threads",
    "per_process_gpu_memory_fraction",
    "platform_config_file",
    "prefer_tflite_model",
    "remove_unused_fields_from_bundle_metagraph",
    "skip_initialize_tpu",
    "tensorflow_session_config_file",
    "thread_pool_factory_config_file",
    "xla_cpu_compilation_enabled",
    "xla_gpu_compilation_enabled",
)

# Ignoring these would leave a server open that its owner believes to be closed.
_REFUSED = ("use_alts_credentials",)


@dataclass(frozen=True)
class Flags:
    """A parsed command line.

    Attributes:
        options: what to serve and where; None when only the version was asked for.
        without_effect: flags that were given but mean nothing here.
    """

    options: ServerOptions | None
    without_effect: tuple[str, ...] = ()


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message[:1].upper()}{message[1:]}; see --help")


def parse_flags(arguments: Sequence[str]) -> Flags:
    """Flags of tensorflow_model_server, as `--name=value` or `--name value`.

    Raises:
        InputError: an unknown flag, a value of the wrong kind, or flags that do not go together.
    """
    parser = _build_parser()
    values, rest = parser.parse_known_args(arguments)
    if rest:
        raise InputError(_unknown(rest[0], parser))
    for name in _REFUSED:
        if getattr(values, name) not in (None, "", "false"):
            raise InputError(f"--{name} is not supported here: use --ssl_config_file instead")
    if values.version:
        return Flags(options=None)
    given = [f"--{name}" for name in _NO_EFFECT if getattr(values, name) is not None]
    if values.grpc_max_threads and values.enable_batching:
        given.append("--grpc_max_threads")  # num_batch_threads says it then
    return Flags(options=_options(values), without_effect=tuple(given))


def _options(values: argparse.Namespace) -> ServerOptions:
    intra, inter, session = (
        values.tensorflow_intra_op_parallelism,
        values.tensorflow_inter_op_parallelism,
        values.tensorflow_session_parallelism,
    )
    if session and intra and inter:
        raise InputError(
            "--tensorflow_session_parallelism sets both kinds of parallelism: "
            "give either it, or the intra and inter flags"
        )
    if not (intra or inter):
        intra = inter = session
    if not values.port and not values.grpc_socket_path:
        raise InputError("--port=0 switches the gRPC port off: then --grpc_socket_path is required")
    return ServerOptions(
        models=_models(values),
        host=None,
        port=values.port or None,
        rest_api_port=values.rest_api_port or None,
        grpc_socket_path=values.grpc_socket_path or None,
        grpc_channel_arguments=values.grpc_channel_arguments,
        intra_op_parallelism=intra,
        inter_op_parallelism=inter,
        enable_model_warmup=values.enable_model_warmup,
        warmup_iterations=values.num_request_iterations_for_warmup,
        saved_model_tags=tuple(values.saved_model_tags.split(",")),
        tensor_content=values.enable_serialization_as_tensor_content,
        file_system_poll_wait_seconds=values.file_system_poll_wait_seconds,
        model_config_file=Path(values.model_config_file) if values.model_config_file else None,
        model_config_file_poll_wait_seconds=values.model_config_file_poll_wait_seconds,
        max_num_load_retries=values.max_num_load_retries,
        load_retry_interval=max(0, values.load_retry_interval_micros) / 1e6,
        load_threads=values.num_load_threads or 1,
        batching=_batching(values),
        rest_timeout=values.rest_api_timeout_in_ms / 1e3,
        rest_cors=values.rest_api_enable_cors_support,
        page=not values.no_page,
        limits=Limits(values.max_request_bytes, values.max_request_rows, values.max_text_bytes),
        grace_seconds=values.grace_period_seconds,
        tls=read_tls(Path(values.ssl_config_file)) if values.ssl_config_file else None,
        metrics_path=_metrics_path(values),
        access_log=Path(values.access_log) if values.access_log else None,
        rest_tls=values.rest_api_tls,
        request_log=_request_log(values),
        check_method_names=values.enable_signature_method_name_check,
        tf_serving=values.audit_for_tf_serving,
        allow_unsafe_operations=values.allow_unsafe_operations,
        per_model_batching=values.enable_per_model_batching_parameters,
        max_waiting_requests=values.max_waiting_requests,
        allow_version_labels_for_unavailable_models=values.allow_version_labels_for_unavailable_models,
        **({"max_threads": values.grpc_max_threads} if values.grpc_max_threads else {}),
        **({"rest_threads": values.rest_api_num_threads} if values.rest_api_num_threads else {}),
    )


def _models(values: argparse.Namespace) -> list[ModelConfig]:
    if values.model_config_file:
        # Only this flag needs the protos, and they bring TensorFlow along.
        from bert_serving.model_server.config.model_config import read_model_config_file

        return read_model_config_file(Path(values.model_config_file))
    if not values.model_base_path:
        raise InputError("No model to serve: give --model_base_path (and --model_name) or --model_config_file")
    if not values.model_name:
        raise InputError("--model_name must not be empty")
    check_is_no_uri(values.model_name, values.model_base_path)
    return [ModelConfig(name=values.model_name, base_path=Path(values.model_base_path).absolute())]


def _request_log(values: argparse.Namespace) -> RequestLogging | None:
    if not values.request_log:
        return None
    prefix = Path(values.request_log).absolute()
    return RequestLogging(prefix, values.request_log_sampling_rate, values.request_log_max_bytes)


def _metrics_path(values: argparse.Namespace) -> str | None:
    if not values.monitoring_config_file:
        return None
    if not values.rest_api_port:
        raise InputError("--monitoring_config_file needs --rest_api_port: the metrics are on the REST port")
    return read_metrics_path(Path(values.monitoring_config_file))


def _batching(values: argparse.Namespace) -> BatchingParameters | None:
    if values.batching_parameters_file and not values.enable_batching:
        raise InputError("--batching_parameters_file needs --enable_batching")
    if not values.enable_batching:
        return None
    parameters = BatchingParameters()
    if values.batching_parameters_file:
        parameters = read_batching_parameters(Path(values.batching_parameters_file))
    return replace(parameters, max_batch_tokens=values.max_batch_tokens)


def _unknown(argument: str, parser: argparse.ArgumentParser) -> str:
    if not argument.startswith("-"):
        return f"Unexpected argument {argument}: everything is given as --flag=value"
    name = "--" + argument.lstrip("-").partition("=")[0]
    known = [option for action in parser._actions for option in action.option_strings if option.startswith("--")]
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
    return f"Unknown flag {name}; the nearest known flag is {nearest[0]}"


def _build_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="bert-serving serve",
        description="Serve SavedModels over gRPC and REST with the API and the flags of tensorflow_model_server.",
        epilog=f"Accepted without effect: {', '.join(_NO_EFFECT)}.",
        allow_abbrev=False,
    )

    def add(name: str, kind: Any, default: Any, text: str) -> None:
        extra: dict[str, Any] = {"nargs": "?", "const": True} if kind is _boolean else {}
        shown = "" if default in ("", ()) else f" (default {default})"
        parser.add_argument(f"--{name}", type=kind, default=default, help=text + shown, metavar="VALUE", **extra)

    add("port", _port, 8500, "gRPC port; 0 is off")
    add("rest_api_port", _port, 0, "REST port; 0 is off")
    add("grpc_socket_path", str, "", "answer gRPC on this Unix socket, too")
    add("grpc_channel_arguments", _channel_arguments, (), "k=v,k=v for the gRPC server")
    add("grpc_max_threads", _count, 0, "requests worked on side by side without batching; 0 is four for each CPU")
    add("model_name", str, "default", "name of the model")
    add("model_base_path", str, "", "folder that holds the numbered versions")
    add("model_config_file", str, "", "ModelServerConfig in text form; wins over name and base path")
    add("model_config_file_poll_wait_seconds", _count, 0, "read that file again so often; 0 is never")
    add("file_system_poll_wait_seconds", _count, 1, "look for versions so often; 0 is once")
    add("allow_version_labels_for_unavailable_models", _boolean, False, "accept new labels of versions not loaded yet")
    add("max_num_load_retries", _count, 5, "try so often again to load a version that failed")
    add("load_retry_interval_micros", _integer, 60_000_000, "microseconds between two tries; below 0 is at once")
    add("num_load_threads", _count, 0, "versions loaded side by side; 0 is one")
    add("enable_batching", _boolean, False, "merge requests into batches")
    add("batching_parameters_file", str, "", "BatchingParameters in text form")
    add("enable_per_model_batching_parameters", _boolean, False, "each version's own batching_params.pbtxt says how")
    add("max_batch_tokens", _positive, DEFAULT_TOKEN_BUDGET, "estimated tokens of a batch; longer requests run alone")
    add("max_waiting_requests", _positive, 1000, "requests that wait for a thread; further ones are refused")
    add("rest_api_num_threads", _count, 0, "threads that read large REST requests; 0 is four for each CPU")
    add("rest_api_timeout_in_ms", _positive, 30_000, "milliseconds for one inference over REST")
    add("rest_api_enable_cors_support", _boolean, False, "let pages of other origins ask over REST")
    add("no-page", _boolean, False, "leave out the page for people at / of the REST port")
    add("ssl_config_file", str, "", "SSLConfig in text form: TLS for the gRPC port")
    add("rest_api_tls", _boolean, False, "TLS for the REST port, too; then plain HTTP finds nobody there")
    add("monitoring_config_file", str, "", "MonitoringConfig in text form: metrics on the REST port")
    add("enable_signature_method_name_check", _boolean, False, "refuse signatures made for another method")
    add("max_request_bytes", _count, 0, "largest request; 0 is 2 GiB")
    add("max_request_rows", _count, 0, "most rows of a request; 0 is any number")
    add("max_text_bytes", _count, 0, "longest text; 0 is any length")
    add("grace_period_seconds", _count, 15, "time for requests to finish after SIGTERM")
    add("audit_for_tf_serving", _version, "2.20", "warn of operations that this TensorFlow Serving lacks")
    add("access_log", str, "", "file that gets a line of JSON for each request")
    add("request_log", str, "", "log sampled requests in TFRecord files whose paths begin like this")
    add("request_log_sampling_rate", _share, 0.01, "share of the requests to log")
    add("request_log_max_bytes", _positive, MOST_BYTES, "what the files of a request log may take together")
    add("allow_unsafe_operations", _boolean, False, "load models that touch files or run code")
    add("saved_model_tags", str, contract.SERVING_TAG, "tags of the meta graph, with commas between")
    add("tensorflow_session_parallelism", _count, 0, "sets both of the next two; 0 is automatic")
    add("tensorflow_intra_op_parallelism", _count, 0, "threads within an operation; 0 is automatic")
    add("tensorflow_inter_op_parallelism", _count, 0, "operations side by side; 0 is automatic")
    add("enable_model_warmup", _boolean, True, "replay the warmup requests of a version before it is available")
    add("num_request_iterations_for_warmup", _count, 1, "how often to replay each of them")
    add("enable_serialization_as_tensor_content", _boolean, False, "answer Predict with tensor_content")
    add("version", _boolean, False, "show the version and end")
    for name in (*_NO_EFFECT, *_REFUSED):
        parser.add_argument(f"--{name}", nargs="?", const="true", default=None, help=argparse.SUPPRESS)
    return parser


def _boolean(text: str) -> bool:
    if text.lower() in ("true", "1"):
        return True
    if text.lower() in ("false", "0"):
        return False
    raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 0")
    return int(text)


def _integer(text: str) -> int:
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(text)


def _version(text: str) -> str:
    if not all(part.isascii() and part.isdigit() for part in text.split(".")):
        raise argparse.ArgumentTypeError(f"{text!r} is not a version such as 2.20")
    return text


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 1")
    return share


def _positive(text: str) -> int:
    if _count(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def _port(text: str) -> int:
    number = _count(text)
    if number > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: the highest is 65535")
    return number


def _channel_arguments(text: str) -> tuple[tuple[str, str | int], ...]:
    pairs: list[tuple[str, str | int]] = []
    for item in filter(None, text.split(",")):
        name, equals, value = item.partition("=")
        if not (name and equals):
            raise argparse.ArgumentTypeError(f"{item!r} is not of the form name=value")
        pairs.append((name, int(value) if value.lstrip("-").isdigit() else value))
    return tuple(pairs)
