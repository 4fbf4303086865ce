"""Which proxy a connection takes: by variables of the environment, never to this machine."""

import socket

import pytest

from bert_serving.io.proxies import grpc_proxy, http_proxy, is_this_machine, unusable, without_password

VARIABLES = [f"{name}_proxy" for name in ("http", "https", "all", "no", "grpc", "no_grpc")]
PROXY = "http://user:sec@ret@proxy.example:3128"


@pytest.fixture
def environment(monkeypatch):
    """Sets variables and removes all others for proxies."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)

    def set_all(**variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return set_all


@pytest.mark.parametrize(
    ("variables", "url", "variable"),
    [
        ({"http_proxy": PROXY}, "http://a.example:8501", "http_proxy"),
        ({"HTTP_PROXY": PROXY}, "http://a.example:8501", "HTTP_PROXY"),
        ({"http_proxy": PROXY, "HTTP_PROXY": "http://other"}, "http://a.example", "http_proxy"),
        ({"http_proxy": PROXY}, "https://a.example", None),
        ({"https_proxy": PROXY}, "https://a.example", "https_proxy"),
        ({"https_proxy": PROXY}, "http://a.example", None),
        ({"ALL_PROXY": PROXY}, "https://a.example", "ALL_PROXY"),
        ({"grpc_proxy": PROXY}, "http://a.example", None),
        ({"http_proxy": ""}, "http://a.example", None),
    ],
)
def test_http_takes_the_variable_of_its_scheme(variables, url, variable, environment):
    environment(**variables)
    found = http_proxy(url)
    assert (found and found.variable) == variable
    assert found is None or str(found) == f"http://proxy.example:3128 (environment variable {variable})"


@pytest.mark.parametrize(
    ("variables", "variable"),
    [
        ({"http_proxy": PROXY}, "http_proxy"),
        ({"https_proxy": PROXY, "http_proxy": "http://other"}, "https_proxy"),
        ({"grpc_proxy": PROXY, "https_proxy": "http://other"}, "grpc_proxy"),
        ({"HTTP_PROXY": PROXY, "ALL_PROXY": PROXY}, None),
        ({"grpc_proxy": "socks5://proxy.example:1080"}, None),
        ({"grpc_proxy": PROXY, "no_grpc_proxy": "a.example"}, None),
        ({"grpc_proxy": PROXY, "no_grpc_proxy": "b.example", "no_proxy": "a.example"}, "grpc_proxy"),
        ({"grpc_proxy": PROXY, "no_proxy": "a.example"}, None),
    ],
)
def test_grpc_takes_the_first_of_its_variables(variables, variable, environment):
    environment(**variables)
    found = grpc_proxy("a.example:8500")
    assert (found and found.variable) == variable


@pytest.mark.parametrize(
    ("exceptions", "host", "excepted"),
    [
        ("*", "a.example", True),
        ("a.example", "a.example", True),
        ("a.example", "b.a.example", True),
        ("a.example", "ba.example", False),
        (".a.example", "b.a.example", True),
        ("*.a.example", "b.a.example", True),
        ("A.Example", "a.example", True),
        ("a.example:8501", "a.example", True),
        ("a.example:80", "a.example", False),
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("10.1.2.3", "10.1.2.3", True),
        ("fd00::/8", "[fd00::1]", True),
        ("[fd00::1]", "[fd00::1]", True),
        ("http://a.example", "a.example", True),
        ("b.example, a.example", "a.example", True),
        ("b.example a.example", "a.example", True),
        ("", "a.example", False),
        (".", "a.example", False),
    ],
)
def test_no_proxy_lists_names_domains_addresses_and_networks(exceptions, host, excepted, environment):
    environment(http_proxy=PROXY, no_proxy=exceptions)
    assert (http_proxy(f"http://{host}:8501") is None) is excepted
    assert (grpc_proxy(f"{host}:8501") is None) is excepted


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("localhost", True),
        ("LOCALHOST.", True),
        ("model.localhost", True),
        ("127.0.0.1", True),
        ("127.8.9.10", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("0.0.0.0", True),
        (socket.gethostname(), True),
        ("128.0.0.1", False),
        ("localhost.example", False),
        ("notlocalhost", False),
        ("", False),
    ],
)
def test_this_machine_is_known_by_its_names_and_addresses(host, local):
    assert is_this_machine(host) is local


@pytest.mark.parametrize("name", [*VARIABLES[:3], "grpc_proxy"])
def test_this_machine_is_reached_without_a_proxy(name, environment):
    environment(**{name: PROXY, name.upper(): PROXY})
    for host in ("localhost", "127.0.0.1", "[::1]"):
        assert http_proxy(f"http://{host}:8501") is http_proxy(f"https://{host}") is grpc_proxy(f"{host}:8500") is None


def test_no_message_shows_a_password(environment):
    environment(http_proxy="user:pa/ss@word@proxy.example:port")
    proxy = http_proxy("http://a.example")
    assert "ss" not in str(proxy) + unusable(proxy, ValueError()).replace("password", "")
    assert without_password("http://user:secret@host/na@me") == "http://host/na@me"
