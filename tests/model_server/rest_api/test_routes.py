"""Request lines: addresses in all their forms, and methods."""

import pytest
from support.raw_http import request

NUMBERS = "/v1/models/numbers"
BODY = b'{"instances": [2.0]}'
ANSWER = {"predictions": [3.0]}


@pytest.mark.parametrize(
    "address",
    [
        f"http://localhost:8501{NUMBERS}",
        f"http://another.example{NUMBERS}",
        f"HTTP://x{NUMBERS}?a=b",
        f"https://[::1]:8501{NUMBERS}",
        f"http://x{NUMBERS}/labels/stable",
    ],
)
def test_a_whole_address_in_the_request_line_is_served(send, address):
    reply = send(request(f"GET {address}"))
    assert reply.status == 200
    assert reply.json()["model_version_status"][0]["state"] == "AVAILABLE"
    path, _, query = address.partition("?")
    reply = send(request(f"POST {path}:predict{'?' + query if query else ''}", body=BODY))
    assert (reply.status, reply.json()) == (200, ANSWER)


@pytest.mark.parametrize("path", ["", "/", "/healthz/live", "/monitoring/prometheus/metrics", "/openapi.json"])
def test_a_whole_address_leads_to_the_same_answer_as_its_path(send, path):
    whole, alone = (send(request(f"GET {start}{path or '/'}")) for start in ("http://x", ""))
    assert (whole.status, whole.headers["content-type"]) == (200, alone.headers["content-type"])


@pytest.mark.parametrize(
    "line",
    [
        "GET *",
        "GET x:8501",
        "CONNECT x:8501",
        "GET v1/models",
        f"GET http://{NUMBERS}",
        f"GET ftp://x{NUMBERS}",
        f"GET http://name:password@x{NUMBERS}",
        f"POST {NUMBERS}%2Fpredict",
        f"GET {NUMBERS}/",
        "GET /v1//models/numbers",
    ],
)
def test_an_address_that_leads_nowhere_is_named(send, line):
    reply = send(request(line))
    assert (reply.status, reply.json()) == (400, {"error": f"Malformed request: {line}"})


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"{NUMBERS}%3Apredict", 200),
        (f"{NUMBERS}%3apredict", 200),
        (f"{NUMBERS}%3aPREDICT", 400),
        (f"{NUMBERS}/labels/st%61ble%3Apredict", 200),
        ("/v1/models/a%20b%2F%C3%A4%3Apredict:predict", 200),
        ("/v1/models/a%20b%2F%C3%A4%3Apredict%3Apredict", 200),
        ("/v1/models/a+b%2F%C3%A4%3Apredict:predict", 404),
        ("/v1/models/a%20b%2F%C3%A4%3Apredict", 404),
    ],
)
def test_a_colon_before_the_method_may_be_encoded(send, path, status):
    assert send(request(f"POST {path}", body=BODY)).status == status


@pytest.mark.parametrize("path", [NUMBERS, f"{NUMBERS}/metadata", "/v1/models", "/healthz/ready", "/openapi.json", "/"])
def test_head_is_answered_as_get_without_its_body(send, path):
    got, head = send(request(f"GET {path}")), send(request(f"HEAD {path}"))
    assert (head.status, head.body) == (got.status, b"")
    assert head.headers["content-length"] == str(len(got.body))


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "TRACE"])
@pytest.mark.parametrize("path", ["/", "/healthz/live", "/monitoring/prometheus/metrics", "/openapi.json"])
def test_another_method_outside_the_api_is_told_those_allowed(send, method, path):
    reply = send(request(f"{method} {path}"))
    assert (reply.status, reply.headers["allow"]) == (405, "GET, HEAD")
    assert reply.json() == {"error": f"{method} is not allowed at {path}: send GET or HEAD"}


def test_options_for_the_whole_server_is_answered(send):
    assert send(request("OPTIONS *")).status == 200
    assert send(request("OPTIONS http://x", "Origin: http://y")).status == 200
