from pathlib import Path

import pytest

from bert_serving.errors import InputError
from bert_serving.model_server.config.batching import BatchingParameters, read_batching_parameters
from bert_serving.model_server.config.flags import _build_parser, parse_flags
from bert_serving.model_server.config.limits import Limits
from bert_serving.model_server.config.model_config import read_model_config_file
from bert_serving.model_server.config.monitoring import read_metrics_path
from bert_serving.model_server.config.options import ModelConfig, ServerOptions, VersionPolicy
from bert_serving.model_server.config.tls import read_tls

MODEL = ("--model_name=m", "--model_base_path=/models/m")


def test_the_ports_are_those_of_tensorflow_serving_when_not_given():
    options = parse_flags(MODEL).options
    assert (options.port, options.rest_api_port, options.host) == (8500, None, None)
    assert list(options.models) == [ModelConfig("m", Path("/models/m"))]


@pytest.mark.parametrize(
    ("arguments", "attribute", "value"),
    [
        (["--port=9000"], "port", 9000),
        (["--port", "9000"], "port", 9000),
        (["--rest_api_port=8501"], "rest_api_port", 8501),
        (["--port=0", "--grpc_socket_path=/tmp/s"], "port", None),
        (["--rest_api_port=0"], "rest_api_port", None),
        (["--enable_model_warmup=false"], "enable_model_warmup", False),
        (["--enable_model_warmup"], "enable_model_warmup", True),
        (["--load_retry_interval_micros=-1"], "load_retry_interval", 0.0),
        (["--tensorflow_session_parallelism=3"], "inter_op_parallelism", 3),
        (["--tensorflow_session_parallelism=3", "--tensorflow_intra_op_parallelism=1"], "intra_op_parallelism", 1),
        (["--tensorflow_session_parallelism=3", "--tensorflow_intra_op_parallelism=1"], "inter_op_parallelism", 0),
        (["--enable_serialization_as_tensor_content"], "tensor_content", True),
        (["--num_request_iterations_for_warmup=3"], "warmup_iterations", 3),
        (["--tensorflow_intra_op_parallelism=2"], "intra_op_parallelism", 2),
        (["--tensorflow_inter_op_parallelism=3"], "inter_op_parallelism", 3),
        (["--tensorflow_session_parallelism=4"], "intra_op_parallelism", 4),
        (["--tensorflow_session_parallelism=4"], "inter_op_parallelism", 4),
        (["--grpc_max_threads=5"], "grpc_max_threads", 5),
        (["--file_system_poll_wait_seconds=0"], "file_system_poll_wait_seconds", 0),
        (["--max_num_load_retries=2"], "max_num_load_retries", 2),
        (["--load_retry_interval_micros=500000"], "load_retry_interval", 0.5),
        (["--num_load_threads=3"], "load_threads", 3),
        (
            ["--allow_version_labels_for_unavailable_models=true"],
            "allow_version_labels_for_unavailable_models",
            True,
        ),
        (["--enable_batching"], "batching", BatchingParameters()),
        (["--enable_batching", "--max_batch_tokens=9"], "batching", BatchingParameters(max_batch_tokens=9)),
        (["--enable_per_model_batching_parameters"], "per_model_batching", True),
        (["--rest_api_timeout_in_ms=1500"], "rest_timeout", 1.5),
        (["--rest_api_enable_cors_support"], "rest_cors", True),
        (["--rest_api_num_threads=3"], "rest_threads", 3),
        (["--no-page"], "page", False),
        (["--rest_api_tls=false"], "rest_tls", False),
        (["--no-page=false"], "page", True),
        (["--max_request_bytes=1", "--max_request_rows=2", "--max_text_bytes=3"], "limits", Limits(1, 2, 3)),
        (["--grace_period_seconds=9"], "grace_seconds", 9),
        (["--access_log=/a"], "access_log", Path("/a")),
        (["--enable_signature_method_name_check"], "check_method_names", True),
        (["--allow_unsafe_operations"], "allow_unsafe_operations", True),
        (["--max_waiting_requests=7"], "max_waiting_requests", 7),
        (["--saved_model_tags=serve,gpu"], "saved_model_tags", ("serve", "gpu")),
        (
            ["--grpc_channel_arguments=grpc.max_connection_age_ms=5,a=b"],
            "grpc_channel_arguments",
            (("grpc.max_connection_age_ms", 5), ("a", "b")),
        ),
    ],
)
def test_a_flag_sets_its_option(arguments, attribute, value):
    assert getattr(parse_flags([*MODEL, *arguments]).options, attribute) == value


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--prot=1"], "Unknown flag --prot; the nearest known flag is --port"),
        (["--model_basepath=/m"], "the nearest known flag is --model_base_path"),
        (["--rest_port=1"], "the nearest known flag is --rest_api_port"),
        (["--enable_batchin"], "the nearest known flag is --enable_batching"),
        (["-port=1"], "Unknown flag -port; the nearest known flag is --port"),
        (["stray"], "Unexpected argument stray"),
        (["--port=x"], "'x' is not a whole number"),
        (["--port=70000"], "'70000' is not a port"),
        (["--port=-1"], "'-1' is not a whole number"),
        (["--port=8500.0"], "'8500.0' is not a whole number"),
        (["--port=0.0.0.0:8500"], "'0.0.0.0:8500' is not a whole number"),
        (["--port="], "'' is not a whole number"),
        (["--port"], "--port: expected one argument"),
        (["--rest_api_port=8500"], "cannot share port 8500"),
        (["--enable_batching", "yes"], "'yes' is neither true nor false"),
        (["--enable_batching="], "'' is neither true nor false"),
        (["--noenable_batching"], "the nearest known flag is --enable_batching"),
        (["–port=8500"], "Unexpected argument –port=8500: everything is given as --flag=value"),
        (["--rest_api_timeout_in_ms=99999999999999999999"], "is above 2147483647, the greatest value"),
        (["--grpc_max_threads=999999999"], "'999999999' is above 4096, the greatest value"),
        (["--num_load_threads=5000"], "'5000' is above 4096"),
        (["--tensorflow_intra_op_parallelism=99999999999"], "is above 4096"),
        (["--file_system_poll_wait_seconds=0.5"], "'0.5' is not a whole number"),
        (["--load_retry_interval_micros=9999999999999999999"], "is not a whole number of microseconds"),
        (["--grpc_channel_arguments=a=9999999999"], "'a=9999999999' is above 2147483647"),
        (["--enable_model_warmup=maybe"], "'maybe' is neither true nor false"),
        (["--port=1", "--rest_api_port=1"], "cannot share port 1"),
        (["--port=0"], "--grpc_socket_path is required"),
        (["--grpc_channel_arguments=a"], "'a' is not of the form name=value"),
        (["--batching_parameters_file=/b"], "--batching_parameters_file needs --enable_batching"),
        (["--enable_batching", "--batching_parameters_file=/nowhere"], "Cannot read the config file /nowhere"),
        (["--max_batch_tokens=0"], "'0' is not a whole number of at least 1"),
        (["--model_name="], "--model_name must not be empty"),
        (["--ssl_config_file=/nowhere"], "Cannot read the config file /nowhere"),
        (["--use_alts_credentials"], "--use_alts_credentials is not supported here: use --ssl_config_file"),
        (["--rest_api_tls"], "--rest_api_tls needs --ssl_config_file"),
        (["--monitoring_config_file=/x"], "--monitoring_config_file needs --rest_api_port"),
        (["--rest_api_timeout_in_ms=0"], "'0' is not a whole number of at least 1"),
        (["--audit_for_tf_serving=new"], "'new' is not a version"),
        (
            [f"--tensorflow_{kind}_parallelism=1" for kind in ("session", "intra_op", "inter_op")],
            "give either it, or",
        ),
        (["--load_retry_interval_micros=soon"], "'soon' is not a whole number"),
        (["--model_base_path=gs://bucket/m"], "is gs://bucket/m: only folders are served here"),
        (["--model_config_file=/nowhere/models.config"], "Cannot read the model config file /nowhere/models.config"),
    ],
)
def test_a_flag_that_cannot_be_used_is_named_with_its_remedy(arguments, text):
    with pytest.raises(InputError) as caught:
        parse_flags([*MODEL, *arguments])
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_model_at_all_is_an_error():
    with pytest.raises(InputError, match="give --model_base_path"):
        parse_flags(["--port=9000"])


def test_flags_without_meaning_here_are_listed():
    flags = parse_flags(
        [*MODEL, "--flush_filesystem_caches", "--port=0", "--grpc_socket_path=/s", "--enable_profiler=false"]
    )
    assert set(flags.without_effect) == {"--flush_filesystem_caches", "--enable_profiler"}
    assert parse_flags([*MODEL, "--grpc_max_threads=3"]).without_effect == ()


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["--max_batch_tokens=5"], "--max_batch_tokens (without --enable_batching)"),
        (["--enable_per_model_batching_parameters"], "(without --enable_batching)"),
        (["--rest_api_timeout_in_ms", "5"], "--rest_api_timeout_in_ms (without --rest_api_port)"),
        (["--no-page", "--rest_api_port=0"], "--no-page (without --rest_api_port)"),
        (["--model_config_file_poll_wait_seconds=5"], "(without --model_config_file)"),
        (["--request_log_sampling_rate=0.5"], "--request_log_sampling_rate (without --request_log)"),
    ],
)
def test_a_flag_without_effect_is_listed_with_the_flag_that_it_lacks(arguments, shown):
    (listed,) = parse_flags([*MODEL, *arguments]).without_effect
    assert shown in listed


def test_name_and_path_are_listed_beside_a_model_config_file(tmp_path):
    path = config_file(tmp_path, f"model_config_list {{ {entry()} }}")
    flags = parse_flags([*MODEL, f"--model_config_file={path}"])
    assert flags.without_effect == tuple(f"--model_{name} (with --model_config_file)" for name in ("name", "base_path"))


def test_metrics_that_are_not_switched_on_are_listed(tmp_path):
    file = tmp_path / "monitoring.config"
    file.write_text('prometheus_config { path: "/metrics" }')
    flags = parse_flags([*MODEL, "--rest_api_port=1", f"--monitoring_config_file={file}"])
    assert flags.options.metrics_path is None
    assert flags.without_effect == ("--monitoring_config_file (its prometheus_config has no enable: true)",)


@pytest.mark.parametrize(
    ("arguments", "shown", "value"),
    [
        (["--port=1", "--port=2"], ("--port is given 2 times, as 1, 2: the last one counts",), 2),
        (["--port", "1", "--port=2"], ("--port is given 2 times, as 1, 2: the last one counts",), 2),
        (["--port=3", "--port", "2", "--port=3"], ("--port is given 3 times, as 3, 2, 3: the last one counts",), 3),
        (["--port=1", "--port=1"], (), 1),
    ],
)
def test_a_flag_that_is_given_twice_is_listed_and_the_last_counts(arguments, shown, value):
    flags = parse_flags([*MODEL, *arguments])
    assert (flags.repeated, flags.options.port) == (shown, value)


def test_a_switch_that_is_given_both_ways_is_listed():
    flags = parse_flags([*MODEL, "--enable_batching", "--enable_batching=false"])
    assert (flags.repeated, flags.options.batching) == (
        ("--enable_batching is given 2 times, as true, false: the last one counts",),
        None,
    )


# main.cc of TensorFlow Serving 2.20.0.
STOCK_FLAGS = """
port grpc_socket_path rest_api_port rest_api_num_threads rest_api_timeout_in_ms rest_api_enable_cors_support grpc_max_threads
grpc_channel_arguments model_name model_base_path model_config_file model_config_file_poll_wait_seconds
file_system_poll_wait_seconds saved_model_tags allow_version_labels_for_unavailable_models num_load_threads num_unload_threads
max_num_load_retries load_retry_interval_micros flush_filesystem_caches enable_batching batching_parameters_file
enable_per_model_batching_parameters tensorflow_session_parallelism tensorflow_intra_op_parallelism
tensorflow_inter_op_parallelism tensorflow_session_config_file per_process_gpu_memory_fraction platform_config_file
thread_pool_factory_config_file mixed_precision xla_cpu_compilation_enabled xla_gpu_compilation_enabled
remove_unused_fields_from_bundle_metagraph prefer_tflite_model enable_model_warmup num_request_iterations_for_warmup
ssl_config_file use_alts_credentials monitoring_config_file enable_profiler enable_grpc_healthcheck_service
enable_signature_method_name_check enable_serialization_as_tensor_content num_tflite_pools num_tflite_interpreters_per_pool
skip_initialize_tpu version
""".split()


def test_every_flag_of_the_stock_server_is_known():
    known = {option for action in _build_parser()._actions for option in action.option_strings}
    assert {f"--{name}" for name in STOCK_FLAGS} <= known


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("prometheus_config { enable: true }", "/monitoring/prometheus/metrics"),
        ('prometheus_config { enable: true path: "/metrics" }', "/metrics"),
        ("prometheus_config { enable: false }", None),
        ("", None),
    ],
)
def test_the_monitoring_config_file_says_where_the_metrics_are(tmp_path, text, path):
    file = tmp_path / "monitoring.config"
    file.write_text(text)
    assert read_metrics_path(file) == path


@pytest.mark.parametrize(
    ("read", "text", "message"),
    [
        (read_metrics_path, "prometheus {}", "Error parsing text-format tensorflow.serving.MonitoringConfig"),
        (read_metrics_path, 'prometheus_config { enable: true path: "m" }', "does not begin with a slash"),
        (read_metrics_path, 'prometheus_config { enable: true path: "/" }', "needs a name in plain letters"),
        (read_metrics_path, 'prometheus_config { enable: true path: "/m?x" }', "needs a name in plain letters"),
        (read_metrics_path, 'prometheus_config { enable: true path: "/my metrics" }', "needs a name in plain letters"),
        (read_metrics_path, 'prometheus_config { enable: true path: "/v1/models" }', "is taken by this server"),
        (read_metrics_path, 'prometheus_config { enable: true path: "/healthz/live" }', "is taken by this server"),
        (read_metrics_path, 'prometheus_config { enable: true path: "/openapi.json" }', "is taken by this server"),
        (read_tls, "key: 1", "Error parsing text-format tensorflow.serving.SSLConfig"),
        (read_tls, 'server_key: "/etc/key.pem" server_cert: "c"', "server_key holds no PEM text"),
        (
            read_tls,
            'server_key: "-----BEGIN X" server_cert: "-----BEGIN X" client_verify: true',
            "client_verify needs custom_ca",
        ),
    ],
)
def test_a_config_file_that_is_wrong_is_explained(tmp_path, read, text, message):
    file = tmp_path / "some.config"
    file.write_text(text)
    with pytest.raises(InputError) as caught:
        read(file)
    assert message in str(caught.value)
    assert str(file) in str(caught.value)


def test_asking_for_the_version_needs_no_model():
    assert parse_flags(["--version"]).options is None


def config_file(folder, text):
    path = folder / "models.config"
    path.write_text(text)
    return path


def entry(body="", *, name="m", path="/models/m", platform='model_platform: "tensorflow"'):
    return f'config {{ name: "{name}" base_path: "{path}" {platform} {body} }}'


@pytest.mark.parametrize(
    ("body", "policy"),
    [
        ("", VersionPolicy(latest=1)),
        ("model_version_policy { latest { num_versions: 2 } }", VersionPolicy(latest=2)),
        ("model_version_policy { all {} }", VersionPolicy(latest=None)),
        ("model_version_policy { specific { versions: 3 versions: 5 } }", VersionPolicy(specific=(3, 5))),
    ],
)
def test_the_model_config_file_sets_the_version_policy(tmp_path, body, policy):
    path = config_file(tmp_path, f"model_config_list {{ {entry(body)} }}")
    assert read_model_config_file(path) == [ModelConfig("m", Path("/models/m"), policy)]


@pytest.mark.parametrize("edit", [lambda text: "\ufeff" + text, lambda text: text.replace(" ", "\r\n")])
def test_a_config_file_of_another_editor_is_read(tmp_path, edit):
    path = tmp_path / "models.config"
    path.write_bytes(edit(f"model_config_list {{ {entry()} }}").encode())
    assert [config.name for config in read_model_config_file(path)] == ["m"]
    path.write_bytes(path.read_bytes().decode().encode("utf-16"))
    with pytest.raises(InputError, match=r"models\.config is not UTF-8 text: encode it as UTF-8"):
        read_model_config_file(path)


@pytest.mark.parametrize("text", ["", "\n# nothing\n", "model_config_list {}"])
def test_a_model_config_file_without_a_model_is_named(tmp_path, text):
    with pytest.raises(InputError, match=r"models\.config lists no model: add a config to its model_config_list"):
        parse_flags([f"--model_config_file={config_file(tmp_path, text)}"])


def test_the_deprecated_model_type_still_stands_for_a_platform(tmp_path):
    path = config_file(tmp_path, f"model_config_list {{ {entry(platform='model_type: TENSORFLOW')} }}")
    assert [config.name for config in read_model_config_file(path)] == ["m"]


def test_the_model_config_file_wins_over_name_and_path(tmp_path):
    listed = entry('version_labels { key: "stable" value: 4 }') + entry(name="n", path="/models/n")
    path = config_file(tmp_path, f"model_config_list {{ {listed} }}")
    options = parse_flags([*MODEL, f"--model_config_file={path}"]).options
    assert [config.name for config in options.models] == ["m", "n"]
    assert options.models[0].labels == {"stable": 4}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model_config_list {", "Error parsing text-format tensorflow.serving.ModelServerConfig"),
        ("no_such_field: 1", "Error parsing text-format tensorflow.serving.ModelServerConfig"),
        (f"model_config_list {{ {entry()} {entry()} }}", "Illegal to list model m multiple times in config list"),
        (
            f"model_config_list {{ {entry(path='models')} }}",
            "Expected model m to have an absolute path or URI; got base_path()=models",
        ),
        (f"model_config_list {{ {entry(platform='')} }}", "Illegal setting neither ModelServerConfig::model_type"),
        (
            f"""model_config_list {{ {entry("model_type: TENSORFLOW")} }}""",
            "Illegal setting both ModelServerConfig::model_type",
        ),
        (
            f"""model_config_list {{ {entry(platform='model_platform: "torch"')} }}""",
            "Model m requests unsupported platform torch",
        ),
        (f"model_config_list {{ {entry(name='')} }}", "has no name"),
        (
            f"""model_config_list {{ {entry('version_labels { key: "" value: 1 }')} }}""",
            "Model m has a version label without a name",
        ),
        (
            f"model_config_list {{ {entry('model_version_policy { specific {} }')} }}",
            "asks for specific versions, but lists none",
        ),
    ],
)
def test_a_model_config_file_that_is_wrong_is_explained(tmp_path, text, message):
    with pytest.raises(InputError) as caught:
        read_model_config_file(config_file(tmp_path, text))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("policy", "chosen"),
    [
        (VersionPolicy(), [10]),
        (VersionPolicy(latest=2), [10, 9]),
        (VersionPolicy(latest=5), [10, 9, 1]),
        (VersionPolicy(latest=None), [10, 9, 1]),
        (VersionPolicy(specific=(1, 9, 77)), [9, 1]),
    ],
)
def test_the_policy_chooses_the_versions_highest_first(policy, chosen):
    assert policy.choose([1, 10, 9]) == chosen


def test_a_server_that_nobody_can_reach_is_an_error():
    with pytest.raises(InputError, match="No port is open: switch on the gRPC port"):
        ServerOptions(models=[ModelConfig("m", Path("/m"))], port=None, rest_api_port=None)
    with pytest.raises(InputError, match="No model"):
        ServerOptions(models=[])


def test_the_batching_parameters_file_sets_the_limits(tmp_path):
    path = tmp_path / "batching.txt"
    path.write_text(
        """
        max_batch_size { value: 64 }
        batch_timeout_micros { value: 2000 }
        max_enqueued_batches { value: 3 }
        num_batch_threads { value: 4 }
        thread_pool_name { value: "some_threads" }
        allowed_batch_sizes: 8
        allowed_batch_sizes: 64
        pad_variable_length_inputs: true
        """
    )
    assert read_batching_parameters(path) == BatchingParameters(
        max_batch_size=64,
        batch_timeout_micros=2000,
        max_enqueued_batches=3,
        num_batch_threads=4,
        allowed_batch_sizes=(8, 64),
        pad_variable_length_inputs=True,
    )
    path.write_text("")
    assert read_batching_parameters(path) == BatchingParameters()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("max_batch_size: 64", "Error parsing text-format tensorflow.serving.BatchingParameters"),
        ("max_batch_sizes { value: 64 }", "Error parsing text-format tensorflow.serving.BatchingParameters"),
        ("max_batch_size { value: 0 }", "max_batch_size is 0: give a number of at least 1"),
        ("batch_timeout_micros { value: -1 }", "batch_timeout_micros is -1"),
        ("batch_timeout_micros { value: 1000000000000 }", "give 0 to 60000000, which is a minute"),
        ("num_batch_threads { value: 1000000000 }", "num_batch_threads is 1000000000: give at most 4096"),
        ("max_batch_size { value: 9223372036854775808 }", "Value out of range: 9223372036854775808"),
        (
            "max_batch_size { value: 64 } allowed_batch_sizes: 8 allowed_batch_sizes: 32",
            "Last entry in allowed_batch_sizes must match max_batch_size; last entry was 32; expected 64",
        ),
        (
            "max_batch_size { value: 8 } allowed_batch_sizes: 16 allowed_batch_sizes: 8",
            "must be positive and ascending",
        ),
        (
            "max_batch_size { value: 8 } enable_large_batch_splitting: true max_execution_batch_size { value: 9 }",
            "give at most max_batch_size (8)",
        ),
    ],
)
def test_a_batching_parameters_file_that_is_wrong_is_explained(tmp_path, text, message):
    path = tmp_path / "batching.txt"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_batching_parameters(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
