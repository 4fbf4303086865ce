"""The OpenAPI description: valid by its specification, and true of the running server."""

import httpx
import openapi_spec_validator
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    negative_data_rejection,
    positive_data_acceptance,
    response_schema_conformance,
)
from support import serving_models

from bert_serving.model_server.config.options import ModelConfig, ServerOptions, VersionPolicy
from bert_serving.model_server.server import ServerThread

NUMBERS = "/v1/models/numbers"
TEXTS = "/v1/models/a%20b%2F%C3%A4%3A%7Bc%7D"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    base = tmp_path_factory.mktemp("models")
    serving_models.write_conformance_models(base)
    (base / "broken" / "7").mkdir(parents=True)
    models = [
        ModelConfig("numbers", base / "half_plus_two", VersionPolicy(latest=2), labels={"stable": 123, "next/ä": 9}),
        ModelConfig("a b/ä:{c}", base / "texts"),
        ModelConfig("broken", base / "broken"),
    ]
    with ServerThread(ServerOptions(models=models, port=None)) as running:
        yield running


@pytest.fixture(scope="module")
def document(server):
    reply = httpx.get(f"{server.rest_url}/openapi.json")
    assert (reply.status_code, reply.headers["content-type"]) == (200, "application/json")
    return reply.json()


def forms(document, path):
    """The titles of the bodies that a path takes."""
    schema = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
    return {form["title"]: form for form in schema["anyOf"]}


def test_the_description_is_valid_openapi(document):
    assert document["openapi"].startswith("3.1")
    openapi_spec_validator.validate(document)


def test_each_model_has_the_paths_of_its_versions_and_labels(document):
    ends = ["", "/metadata", ":predict", ":classify", ":regress"]
    choices = ["", "/versions/124", "/versions/123", "/labels/stable"]
    expected = {f"{NUMBERS}{choice}{end}" for choice in choices for end in ends}
    expected |= {f"{TEXTS}{choice}{end}" for choice in ("", "/versions/1") for end in ("", "/metadata", ":predict")}
    # Without a version that is AVAILABLE, the states are all there is.
    expected |= {"/v1/models/broken", "/v1/models/broken/versions/7", f"{NUMBERS}/labels/next%2F%C3%A4"}
    assert set(document["paths"]) == expected | {"/v1/models", "/healthz/live", "/healthz/ready"}


def test_a_signature_is_described_by_rows_and_by_columns(document):
    described = forms(document, f"{TEXTS}:predict")
    assert list(described) == [
        f"{name}, by {way}" for name in ("serving_default", "pair") for way in ("columns", "rows")
    ]
    rows, pair = described["serving_default, by rows"], described["pair, by columns"]
    assert rows["required"] == ["instances"]
    named = rows["properties"]["instances"]["items"]["anyOf"][1]
    assert named["properties"] == {"text": {"$ref": "#/components/schemas/string", "description": "string []"}}
    assert pair["required"] == ["inputs", "signature_name"]
    assert pair["properties"]["inputs"]["required"] == ["text", "text_pair"]
    numbers = forms(document, f"{NUMBERS}:predict")
    assert numbers["matrix, by rows"]["properties"]["instances"]["items"]["anyOf"][0]["maxItems"] == 3
    # A scalar output has no rows, and half precision no JSON.
    assert "scalar_output, by columns" in numbers
    assert "scalar_output, by rows" not in numbers
    assert not [title for title in numbers if title.startswith("half")]
    assert "classify" in forms(document, f"{NUMBERS}:classify")


def answers_as_described(server, examples):
    schema = schemathesis.openapi.from_url(f"{server.rest_url}/openapi.json")
    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
        for operation in (found.ok() for found in schema.get_all_operations()):
            if mode is GenerationMode.POSITIVE or operation.body:
                case_of(server, operation, mode, examples)()


def case_of(server, operation, mode, examples):
    # A schema cannot say that lists have one length at each depth, or which features an Example needs; and what
    # the server reads besides what is described, it reads as TensorFlow Serving does.
    excluded = [negative_data_rejection, positive_data_acceptance]
    if mode is GenerationMode.NEGATIVE:  # an undescribed request, such as a matrix for a vector, has such an answer
        excluded.append(response_schema_conformance)
    if operation.path == "/healthz/ready":  # 503, for one model is broken
        excluded.append(not_a_server_error)

    @settings(
        max_examples=examples, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def answers(case):
        reply = case.call(base_url=server.rest_url)
        if "Infinity" not in reply.text:  # a sum may be; that is not strict JSON, as the description says
            case.validate_response(reply, excluded_checks=excluded)

    return answers


def test_the_server_answers_as_described(server):
    answers_as_described(server, 3)


@pytest.mark.slow
def test_the_server_answers_as_described_for_long(server):
    answers_as_described(server, 60)


def test_what_was_found_in_the_description_can_be_asked(server, document):
    with httpx.Client(base_url=server.rest_url, timeout=20) as http:
        for path, item in document["paths"].items():
            if "get" in item:
                assert str(http.get(path).status_code) in item["get"]["responses"], path
        reply = http.post(f"{TEXTS}/versions/1:predict", json={"instances": ["kurz"]})
        assert reply.json()["predictions"][0]["label"] == "kurz"
