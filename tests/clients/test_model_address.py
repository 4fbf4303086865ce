"""Addresses of served models: their parts, and the clients for them."""

import asyncio

import pytest

from bert_serving.clients.grpc_client import AsyncGrpcClient, GrpcClient
from bert_serving.clients.model_address import ModelAddress
from bert_serving.clients.rest_client import AsyncRestClient, RestClient
from bert_serving.errors import InputError


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("grpc://host:8500/m", ModelAddress("grpc", "host:8500", "m")),
        ("https://host/a%20b/", ModelAddress("https", "host", "a b")),
        ("http://host:8501/m/versions/7", ModelAddress("http", "host:8501", "m", {"version": 7})),
        ("grpcs://host/m/labels/a%20b", ModelAddress("grpcs", "host", "m", {"version_label": "a b"})),
        ("http://[::1]:8501/m", ModelAddress("http", "[::1]:8501", "m")),
        ("http://host/v1/models/m:predict", ModelAddress("http", "host", "m")),
        ("http://host/v1/models/m/versions/7:predict", ModelAddress("http", "host", "m", {"version": 7})),
        ("http://host/v1/models/m/labels/a:predict", ModelAddress("http", "host", "m", {"version_label": "a"})),
        ("https://host/be/low/v1/models/m", ModelAddress("https", "host/be/low", "m")),
    ],
)
def test_an_address_has_a_server_a_model_and_perhaps_a_version(url, expected):
    assert ModelAddress.parse(url) == expected


def test_a_version_beyond_64_bits_is_refused():
    with pytest.raises(
        InputError, match="9223372036854775808 is not a version; the highest possible is 9223372036854775807"
    ):
        ModelAddress.parse("grpc://host/m/versions/9223372036854775808")


@pytest.mark.parametrize(
    "url",
    [
        *("host:8500/m", "ftp://host/m", "grpc://host", "grpc://host:x/m", "http://[::1/m", "http://h/m/x"),
        *("http://host/m?a=b", "http://host/m#a", "grpc://host:1/a/v1/models/m", "http://u:secret@h"),
    ],
)
def test_another_form_is_refused(url):
    with pytest.raises(InputError, match="is not an address of a model; expected grpc://host:port/name") as told:
        ModelAddress.parse(url)
    assert "secret" not in str(told.value)


def test_the_client_follows_from_the_scheme():
    with ModelAddress.parse("grpc://127.0.0.1:1/m").client() as client:
        assert isinstance(client, GrpcClient)
    with ModelAddress.parse("http://127.0.0.1:1/m").client() as client:
        assert isinstance(client, RestClient)


def test_the_asynchronous_client_follows_from_the_scheme():
    async def made(url):
        async with ModelAddress.parse(url).async_client(timeout=1.0) as client:
            return type(client)

    assert asyncio.run(made("grpcs://127.0.0.1:1/m")) is AsyncGrpcClient
    assert asyncio.run(made("https://127.0.0.1:1/m")) is AsyncRestClient
