"""What the HTTP server relies on in uvicorn beyond its documented options: a release that changes it must fail here."""

import asyncio
import inspect
import re

import pytest
import uvicorn
from support.paths import ROOT
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
        TimeoutProtocol: {"connection_made", "connection_lost", "handle_events", "pause_writing", "resume_writing"},
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
    assert "response_complete" in names_in(RequestResponseCycle.__init__)


def test_events_are_handled_as_data_comes_and_after_each_answer():
    assert "handle_events" in names_in(H11Protocol.data_received)
    assert "handle_events" in names_in(H11Protocol.on_response_complete)
    assert "timeout_keep_alive_task" in names_in(H11Protocol.on_response_complete)
    # The logger is set before the first connection is made, and warnings of malformed requests go to it.
    assert "logger" in names_in(H11Protocol.handle_events)


def test_a_server_has_the_attributes_that_its_end_uses():
    server = HttpServer(app)
    assert (server.started, server.should_exit) == (False, False)
    assert server.server_state.tasks == set()
    assert server.server_state.connections == set()
    assert server.config.ssl is None
    assert server.config.http_protocol_class is TimeoutProtocol
    assert "capture_signals" in names_in(uvicorn.Server.serve)
