"""The flags of tensorflow_model_server."""

import argparse
import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, NoReturn

from bert_serving import contract
from bert_serving.errors import InputError
from bert_serving.model_server.config import flag_values as parse
from bert_serving.model_server.config.batching import (
    DEFAULT_TOKEN_BUDGET,
    BatchingParameters,
    read_batching_parameters,
)
from bert_serving.model_server.config.limits import Limits
from bert_serving.model_server.config.monitoring import read_metrics_path
from bert_serving.model_server.config.options import ModelConfig, ServerOptions, check_is_folder
from bert_serving.model_server.config.request_logging import DEFAULT_MAX_BYTES, RequestLogConfig
from bert_serving.model_server.config.tls import read_tls


@dataclass(frozen=True)
class Flags:
    """A parsed command line.

    Attributes:
        options: what to serve and where; None when only the version was asked for.
        without_effect: flags on the command line that have no effect here, with the reason.
        repeated: flags that are given several times with different values, of which the last counts.
    """

    options: ServerOptions | None
    without_effect: tuple[str, ...] = ()
    repeated: tuple[str, ...] = ()


# === The flags ===


@dataclass(frozen=True)
class _Flag:
    """One flag of the command line.

    Attributes:
        name: without dashes.
        parse: converts the text of a value.
        default: text that is parsed when the flag is absent.
        help: its line in --help.
        option: name of its field of ServerOptions, where that is not the flag's name.
    """

    name: str
    parse: Callable[[str], Any]
    default: str
    help: str
    option: str = ""


# One row for each flag.
# fmt: off
_FLAGS = (
    _Flag("port", parse.port_or_off, "8500", "gRPC port; 0 is off"),
    _Flag("rest_api_port", parse.port_or_off, "0", "REST port; 0 is off"),
    _Flag("grpc_socket_path", lambda text: text or None, "", "serve gRPC on this Unix socket as well"),
    _Flag("grpc_channel_arguments", parse.channel_arguments, "", "options of the gRPC server, as name=value,name=value"),
    _Flag("grpc_max_threads", parse.threads, "0", "gRPC requests in flight; more are refused; 0 is no limit"),
    _Flag("model_name", str, "default", "name of the model"),
    _Flag("model_base_path", str, "", "folder that holds the numbered versions"),
    _Flag("model_config_file", parse.path, "", "ModelServerConfig in text form; overrides name and base path"),
    _Flag("model_config_file_poll_wait_seconds", parse.whole_number, "0", "seconds between reads of that file; 0 reads it once"),
    _Flag("file_system_poll_wait_seconds", parse.whole_number, "1", "seconds between looks for versions; 0 looks once"),
    _Flag("allow_version_labels_for_unavailable_models", parse.boolean, "False", "accept labels of versions that are not loaded"),
    _Flag("max_num_load_retries", parse.whole_number, "5", "retries for a version that failed to load"),
    _Flag("load_retry_interval_micros", parse.microseconds, "60000000", "microseconds between retries; < 0 is none", "load_retry_interval"),
    _Flag("num_load_threads", lambda text: parse.threads(text) or 1, "0", "versions loaded in parallel; 0 is one", "load_threads"),
    _Flag("enable_batching", parse.boolean, "False", "merge requests into batches"),
    _Flag("batching_parameters_file", parse.path, "", "BatchingParameters in text form"),
    _Flag("enable_per_model_batching_parameters", parse.boolean, "False", "by each version's batching_params.pbtxt", "per_model_batching"),
    _Flag("max_batch_tokens", parse.positive, str(DEFAULT_TOKEN_BUDGET), "estimated tokens of a batch; longer requests run alone"),
    _Flag("max_waiting_requests", parse.positive, "1000", "requests that may wait for a thread; more are refused"),
    _Flag("rest_api_num_threads", parse.threads, "0", "threads that read large REST requests; 0 is four per CPU"),
    _Flag("rest_api_timeout_in_ms", lambda text: parse.positive(text) / 1e3, "30000", "timeout of a REST inference in ms", "rest_timeout"),
    _Flag("rest_api_enable_cors_support", parse.boolean, "False", "allow cross-origin requests (CORS) over REST", "rest_cors"),
    _Flag("no-page", lambda text: not parse.boolean(text), "False", "no web page at / of the REST port", "page"),
    _Flag("ssl_config_file", parse.path, "", "SSLConfig in text form: TLS for the gRPC port"),
    _Flag("rest_api_tls", parse.boolean, "False", "TLS for the REST port as well; plain HTTP is refused then", "rest_tls"),
    _Flag("monitoring_config_file", parse.path, "", "MonitoringConfig in text form: metrics on the REST port"),
    _Flag("enable_signature_method_name_check", parse.boolean, "False", "refuse signatures made for another method", "check_method_names"),
    _Flag("max_request_bytes", parse.whole_number, "0", "bytes of the largest request; 0 is 2 GiB"),
    _Flag("max_request_rows", parse.whole_number, "0", "most rows of a request; 0 is no limit"),
    _Flag("max_text_bytes", parse.whole_number, "0", "bytes of the longest text; 0 is no limit"),
    _Flag("grace_period_seconds", parse.whole_number, "15", "seconds for requests to finish after SIGTERM", "grace_seconds"),
    _Flag("audit_for_tf_serving", parse.version, "2.20", "warn of operations that this version of TensorFlow Serving lacks", "tf_serving"),
    _Flag("access_log", parse.path, "", "file to append a line of JSON to for each request"),
    _Flag("request_log", parse.path, "", "path prefix of TFRecord files that log sampled requests", "request_log_prefix"),
    _Flag("request_log_sampling_rate", parse.share, "0.01", "fraction of the requests to log"),
    _Flag("request_log_max_bytes", parse.size, str(DEFAULT_MAX_BYTES), "most bytes of all files of a request log together"),
    _Flag("allow_unsafe_operations", parse.boolean, "False", "load models with operations that access files or run code"),
    _Flag("saved_model_tags", lambda text: tuple(text.split(",")), contract.SERVING_TAG, "tags of the meta graph, separated by commas"),
    _Flag("tensorflow_session_parallelism", parse.threads, "0", "sets both of the next two; 0 is automatic"),
    _Flag("tensorflow_intra_op_parallelism", parse.threads, "0", "threads within an operation; 0 is automatic"),
    _Flag("tensorflow_inter_op_parallelism", parse.threads, "0", "operations run in parallel; 0 is automatic"),
    _Flag("enable_model_warmup", parse.boolean, "True", "replay a version's warmup requests before it is available"),
    _Flag("num_request_iterations_for_warmup", parse.whole_number, "1", "replays of each warmup request", "warmup_iterations"),
    _Flag("enable_serialization_as_tensor_content", parse.boolean, "False", "answer Predict with tensor_content", "tensor_content"),
    _Flag("version", parse.boolean, "False", "show the version and exit"),
)
# fmt: on

# Flags of tensorflow_model_server (main.cc, tags up to 2.20.0) that have no effect here.
_NO_EFFECT = """
    enable_grpc_healthcheck_service enable_profiler flush_filesystem_caches mixed_precision
    num_tflite_interpreters_per_pool num_tflite_pools num_unload_threads per_process_gpu_memory_fraction
    platform_config_file prefer_tflite_model remove_unused_fields_from_bundle_metagraph skip_initialize_tpu
    tensorflow_session_config_file thread_pool_factory_config_file xla_cpu_compilation_enabled
    xla_gpu_compilation_enabled
""".split()

# Flags that have no effect without another one.
_DEPENDENT = {
    "rest_api_port": (
        "rest_api_num_threads",
        "rest_api_timeout_in_ms",
        "rest_api_enable_cors_support",
        "rest_api_tls",
        "no-page",
    ),
    "enable_batching": ("enable_per_model_batching_parameters", "max_batch_tokens"),
    "model_config_file": ("model_config_file_poll_wait_seconds",),
    "request_log": ("request_log_sampling_rate", "request_log_max_bytes"),
}

# Ignoring these would leave a server unprotected.
_REFUSED = ("use_alts_credentials",)


# === From a command line to options ===


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message[:1].upper()}{message[1:]}; see --help")


def parse_flags(arguments: Sequence[str]) -> Flags:
    """Flags of tensorflow_model_server, as `--name=value` or `--name value`.

    Raises:
        InputError: an unknown flag, a value of the wrong kind, or flags that do not go together.
    """
    values, rest = _build_parser().parse_known_args(arguments)
    if rest:
        raise InputError(_unknown(rest[0]))
    for name in _REFUSED:
        if getattr(values, name) not in (None, "", "false"):
            raise InputError(f"--{name} is not supported here: use --ssl_config_file instead")
    if values.version:
        return Flags(options=None)
    given, options = _given(arguments), _options(values)
    return Flags(options, tuple(_without_effect(values, options, given)), tuple(_repeated(given)))


def _given(arguments: Sequence[str]) -> dict[str, list[str]]:
    """The texts of each flag's values, in their order."""
    given: dict[str, list[str]] = {}
    for argument, following in zip(arguments, [*arguments[1:], "--"], strict=True):
        name, equals, value = argument.removeprefix("--").partition("=")
        if argument.startswith("--"):
            given.setdefault(name, []).append(value if equals else "true" if following.startswith("--") else following)
    return given


def _repeated(given: Mapping[str, Sequence[str]]) -> Iterator[str]:
    for name, texts in given.items():
        if len(set(texts)) > 1:
            yield f"--{name} is given {len(texts)} times, as {', '.join(texts)}: the last one counts"


def _without_effect(
    values: argparse.Namespace, options: ServerOptions, given: Mapping[str, Sequence[str]]
) -> Iterator[str]:
    yield from (f"--{name}" for name in _NO_EFFECT if name in given)
    keys = {flag.name: flag.option or flag.name for flag in _FLAGS}
    for needed, names in _DEPENDENT.items():
        if not getattr(values, keys[needed]):
            yield from (f"--{name} (without --{needed})" for name in names if name in given)
    if values.model_config_file:
        yield from (
            f"--{name} (with --model_config_file)" for name in ("model_name", "model_base_path") if name in given
        )
    if values.monitoring_config_file and options.metrics_path is None:
        yield "--monitoring_config_file (its prometheus_config has no enable: true)"


def _build_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="bert-serving serve",
        description="Serve SavedModels over gRPC and REST with the API and the flags of tensorflow_model_server.",
        epilog=f"Accepted without effect: {', '.join(_NO_EFFECT)}.",
        allow_abbrev=False,
    )
    for flag in _FLAGS:
        shown = f" (default {flag.default})" if flag.default else ""
        more: dict[str, Any] = {"dest": flag.option} if flag.option else {}
        if flag.default in ("True", "False"):
            more |= {"nargs": "?", "const": flag.parse("true")}
        parser.add_argument(
            f"--{flag.name}", type=flag.parse, default=flag.default, help=flag.help + shown, metavar="VALUE", **more
        )
    for name in (*_NO_EFFECT, *_REFUSED):
        parser.add_argument(f"--{name}", nargs="?", const="true", default=None, help=argparse.SUPPRESS)
    return parser


def _unknown(argument: str) -> str:
    if not argument.startswith("-"):
        return f"Unexpected argument {argument}: everything is given as --flag=value"
    given = argument.partition("=")[0]
    name = "--" + given.lstrip("-")
    known = [f"--{other}" for other in ("help", *(flag.name for flag in _FLAGS), *_NO_EFFECT, *_REFUSED)]
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
    return f"Unknown flag {given}; the nearest known flag is {nearest[0]}"


def _options(values: argparse.Namespace) -> ServerOptions:
    intra, inter = _parallelism(values)
    if not values.port and not values.grpc_socket_path:
        raise InputError("--port=0 switches the gRPC port off: then --grpc_socket_path is required")
    unchanged = {field.name: getattr(values, field.name) for field in fields(ServerOptions) if field.name in values}
    return ServerOptions(
        **unchanged,
        models=_models(values),
        host=None,
        rest_threads=values.rest_api_num_threads or ServerOptions.rest_threads,
        intra_op_parallelism=intra,
        inter_op_parallelism=inter,
        limits=Limits(values.max_request_bytes, values.max_request_rows, values.max_text_bytes),
        batching=_batching(values),
        tls=read_tls(values.ssl_config_file) if values.ssl_config_file else None,
        metrics_path=_metrics_path(values),
        request_log=_request_log(values),
    )


def _parallelism(values: argparse.Namespace) -> tuple[int, int]:
    intra, inter = values.tensorflow_intra_op_parallelism, values.tensorflow_inter_op_parallelism
    session = values.tensorflow_session_parallelism
    if session and intra and inter:
        raise InputError(
            "--tensorflow_session_parallelism sets both kinds of parallelism: "
            "give either it, or the intra and inter flags"
        )
    return (intra, inter) if intra or inter else (session, session)


def _models(values: argparse.Namespace) -> list[ModelConfig]:
    if values.model_config_file:
        from bert_serving.model_server.config.model_config import read_model_config_file  # noqa: PLC0415  imports TensorFlow

        models = read_model_config_file(values.model_config_file)
        if not models:
            raise InputError(f"{values.model_config_file} lists no model: add a config to its model_config_list")
        return models
    if not values.model_base_path:
        raise InputError("No model to serve: give --model_base_path (and --model_name) or --model_config_file")
    if not values.model_name:
        raise InputError("--model_name must not be empty")
    check_is_folder(values.model_name, values.model_base_path)
    return [ModelConfig(name=values.model_name, base_path=Path(values.model_base_path).absolute())]


def _batching(values: argparse.Namespace) -> BatchingParameters | None:
    if values.batching_parameters_file and not values.enable_batching:
        raise InputError("--batching_parameters_file needs --enable_batching")
    if not values.enable_batching:
        return None
    parameters = BatchingParameters()
    if values.batching_parameters_file:
        parameters = read_batching_parameters(values.batching_parameters_file)
    return replace(parameters, max_batch_tokens=values.max_batch_tokens)


def _metrics_path(values: argparse.Namespace) -> str | None:
    if not values.monitoring_config_file:
        return None
    if not values.rest_api_port:
        raise InputError("--monitoring_config_file needs --rest_api_port: the metrics are on the REST port")
    return read_metrics_path(values.monitoring_config_file)


def _request_log(values: argparse.Namespace) -> RequestLogConfig | None:
    if not values.request_log_prefix:
        return None
    prefix = values.request_log_prefix.absolute()
    return RequestLogConfig(prefix, values.request_log_sampling_rate, values.request_log_max_bytes)
