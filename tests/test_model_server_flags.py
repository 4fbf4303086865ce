from pathlib import Path

import pytest

from bert_serving.errors import InputError
from bert_serving.model_server.batching_parameters import BatchingParameters, read_batching_parameters
from bert_serving.model_server.flags import parse_flags
from bert_serving.model_server.model_config import read_model_config_file
from bert_serving.model_server.options import ModelConfig, ServerOptions, VersionPolicy

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
        (["--enable_serialization_as_tensor_content"], "tensor_content", True),
        (["--num_request_iterations_for_warmup=3"], "warmup_iterations", 3),
        (["--tensorflow_intra_op_parallelism=2"], "intra_op_parallelism", 2),
        (["--tensorflow_inter_op_parallelism=3"], "inter_op_parallelism", 3),
        (["--tensorflow_session_parallelism=4"], "intra_op_parallelism", 4),
        (["--tensorflow_session_parallelism=4"], "inter_op_parallelism", 4),
        (["--grpc_max_threads=5"], "max_threads", 5),
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
        (["-port=1"], "the nearest known flag is --port"),
        (["stray"], "Unexpected argument stray"),
        (["--port=x"], "'x' is not a whole number"),
        (["--port=70000"], "'70000' is not a port"),
        (["--port=-1"], "'-1' is not a whole number"),
        (["--enable_model_warmup=maybe"], "'maybe' is neither true nor false"),
        (["--port=1", "--rest_api_port=1"], "cannot share port 1"),
        (["--port=0"], "--grpc_socket_path is required"),
        (["--grpc_channel_arguments=a"], "'a' is not of the form name=value"),
        (["--batching_parameters_file=/b"], "--batching_parameters_file needs --enable_batching"),
        (["--enable_batching", "--batching_parameters_file=/nowhere"], "Cannot read the config file /nowhere"),
        (["--max_batch_tokens=0"], "'0' is not a whole number of at least 1"),
        (["--model_name="], "--model_name must not be empty"),
        (["--ssl_config_file=/x"], "--ssl_config_file is not supported here"),
        (["--tensorflow_session_parallelism=1", "--tensorflow_intra_op_parallelism=1"], "give either it, or"),
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
    assert parse_flags(MODEL).without_effect == ()


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
            f"""model_config_list {{ {entry(platform='model_platform: "torch"')} }}""",
            "Model m requests unsupported platform torch",
        ),
        (f"model_config_list {{ {entry(name='')} }}", "has no name"),
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
    with pytest.raises(InputError, match="No way in"):
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
