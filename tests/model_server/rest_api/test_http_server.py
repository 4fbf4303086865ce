"""What the HTTP server relies on in uvicorn beyond its documented options: a release that changes it must fail here."""

import asyncio
import inspect
import re

import pytest
import uvicorn
from support.paths import ROOT
from support.raw_http import request
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle
from uvicorn.server import ServerState

from bert_serving.model_server.rest_api.http_server import HttpServer, TimeoutProtocol


async def app(scope, receive, send):
    """Answers nothing."""


def names_in(function):
    return {*function.__code__.co_names, *function.__code__.co_varnames}


def test_one_module_alone_imports_uvicorn():
    importing = [
        path.relative_to(ROOT).as_posix()
        for path in sorted((ROOT / "bert_serving").rglob("*.py"))
        if re.search(r"^\s*(?:import|from) uvicorn", path.read_text("utf-8"), re.MULTILINE)
    ]
    assert importing == ["bert_serving/model_server/rest_api/http_server.py"]


@pytest.mark.parametrize("ours", [TimeoutProtocol, HttpServer])
def test_what_is_overridden_has_the_signature_of_uvicorn(ours):
    (theirs,) = ours.__bases__
    methods = {name for name, value in vars(ours).items() if inspect.isfunction(value) and hasattr(theirs, name)}
    expected = {
        TimeoutProtocol: {"connection_made", "connection_lost", "handle_events", "pause_writing", "resume_writing"}
        | {"data_received", "send_400_response"},
        HttpServer: {"__init__", "capture_signals"},
    }
    assert methods == expected[ours]
    for name in methods - {"__init__"}:
        parameters = [list(inspect.signature(getattr(owner, name)).parameters) for owner in (ours, theirs)]
        assert parameters[0] == parameters[1], name
    assert list(inspect.signature(uvicorn.Server).parameters) == ["config"]
    assert "sockets" in inspect.signature(uvicorn.Server.serve).parameters


def test_a_connection_has_the_attributes_that_the_timeouts_read():
    async def connection():
        config = uvicorn.Config(app, log_config=None, lifespan="off", ws="none")
        return H11Protocol(config, ServerState(), {}, asyncio.get_running_loop())

    protocol = asyncio.run(connection())
    for name in ("loop", "logger", "transport"):
        assert hasattr(protocol, name), name
    assert protocol.cycle is None
    assert protocol.timeout_keep_alive_task is None
    assert {"response_complete", "disconnected", "message_event"} <= names_in(RequestResponseCycle.__init__)
    assert "send_400_response" in names_in(H11Protocol.handle_events)


def test_events_are_handled_as_data_comes_and_after_each_answer():
    assert "handle_events" in names_in(H11Protocol.data_received)
    assert "handle_events" in names_in(H11Protocol.on_response_complete)
    assert "timeout_keep_alive_task" in names_in(H11Protocol.on_response_complete)
    # The logger is set before the first connection is made, and warnings of malformed requests go to it.
    assert "logger" in names_in(H11Protocol.handle_events)


@pytest.mark.parametrize(
    ("data", "status", "text"),
    [
        (request("GET /v1/models", host=None), 400, "Missing mandatory Host: header"),
        (request("GET /v1/models", "Host: y"), 400, "Found multiple Host: headers"),
        (request("GET /v1/models/a b"), 400, "illegal request line: percent-encode blanks and letters outside ASCII"),
        (request("GET /v1/models/ä"), 400, "illegal request line: percent-encode"),
        (request("GET /v1/models HTTP/1.1 more"), 400, "illegal request line"),
        (b"GET /v1/models\r\n\r\n", 400, "illegal request line"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, "illegal request line"),
        (request("GET /v1/models", "no colon"), 400, "illegal header line"),
        (request("POST /", "Content-Length: 3", "Content-Length: 4", body=b"abc"), 400, "conflicting Content-Length"),
        (request("POST /", "Content-Length: +3", body=b"abc"), 400, "bad Content-Length"),
        (
            request("POST /v1/models/texts:predict", "Transfer-Encoding: chunked", body=b"z\r\n"),
            400,
            "illegal chunk header",
        ),
        (request("GET /v1/models", "Transfer-Encoding: chunked", body=b"z\r\n"), 400, "illegal chunk header"),
        (
            request("POST /", "Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"),
            501,
            "Only Transfer-Encoding: chunked",
        ),
        (request("GET /" + "a" * 5_000_000), 431, "Receive buffer too long: send a shorter address"),
        (request("GET /", "X: " + "a" * 5_000_000), 431, "Receive buffer too long"),
    ],
)
def test_what_is_not_http_is_answered_in_json_and_in_time(send, data, status, text):
    reply = send(data)
    assert (reply.status, reply.headers["connection"], reply.headers["content-type"]) == (
        status,
        "close",
        "application/json",
    )
    assert reply.json()["error"].startswith(f"Malformed HTTP request: {text}")


def test_bytes_after_an_early_answer_that_are_not_http_are_dropped(send, caplog):
    head = ["Content-Encoding: br", "Transfer-Encoding: chunked"]
    reply = send(request("POST /v1/models/texts:predict", *head, body=b"5\r\nabcde\r\n" + b"z\r\n"))
    assert reply.status in (400, 415)
    assert not caplog.records


@pytest.mark.parametrize("line", ["GET /v1/models HTTP/1.0", "GET /v1/models HTTP/1.1", "GET /v1/models HTTP/1.2"])
def test_each_release_of_http_1_is_served(send, line):
    assert send(request(line)).status == 200
    assert send(request("GET /v1/models HTTP/1.0", host=None)).status == 200


def test_a_server_has_the_attributes_that_its_end_uses():
    server = HttpServer(app)
    assert (server.started, server.should_exit) == (False, False)
    assert server.server_state.tasks == set()
    assert server.server_state.connections == set()
    assert server.config.ssl is None
    assert server.config.http_protocol_class is TimeoutProtocol
    assert "capture_signals" in names_in(uvicorn.Server.serve)
