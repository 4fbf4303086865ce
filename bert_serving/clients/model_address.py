"""The address of a served model, such as grpc://host:port/name, and the clients for it."""

import re
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import unquote, urlsplit

from bert_serving.clients.tls import ClientTls
from bert_serving.errors import InputError
from bert_serving.io.proxies import without_password
from bert_serving.names import HIGHEST_VERSION, version_number

# ruff: noqa: PLC0415
# gRPC and httpx are imported only for the protocol in use.

# Of the REST API's own URLs, too, which people copy: /v1/models/name:predict, on some servers below a prefix.
_PATH = re.compile(r"(?:(?P<prefix>.*/|)v1/models/)?([^/]+?)(?:/versions/([0-9]+)|/labels/([^/]+?))?(?::predict)?")


@dataclass(frozen=True)
class ModelAddress:
    """A model on a server.

    Attributes:
        scheme: grpc or grpcs, http or https.
        server: host and port; for http and https also the path before /v1/models, if there is one.
        name: name of the model.
        version: keyword arguments of a client's `predict` that select a version: none, `version` or
            `version_label`.
    """

    scheme: str
    server: str
    name: str
    version: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, url: str) -> Self:
        """Parses an address such as grpc://host:port/name.

        Args:
            url: grpc://host:port/name or http://host:port/name (grpcs and https with TLS); with
                /versions/7 or /labels/canary after the name for one version. The URL of the REST
                API itself, http://host:port/v1/models/name:predict, means the same.

        Raises:
            InputError: the URL has another form.
        """
        try:
            address = urlsplit(url)
            _ = address.port  # raises if it is not a number
        except ValueError:
            address = urlsplit("")
        match = _PATH.fullmatch(address.path.strip("/"))
        is_grpc = address.scheme in ("grpc", "grpcs")
        is_other = address.query or address.fragment or (is_grpc and match and match["prefix"])
        if not address.netloc or match is None or is_other or not (is_grpc or address.scheme in ("http", "https")):
            raise InputError(
                f"{without_password(url)!r} is not an address of a model; expected grpc://host:port/name or "
                "http://host:port/name, and for one version /versions/7 or /labels/canary after the name"
            )
        prefix, name, version, label = match.groups()
        if version and version_number(version) is None:
            raise InputError(
                f"{without_password(url)!r}: {version} is not a version; the highest possible is {HIGHEST_VERSION}"
            )
        choice = {"version": int(version)} if version else {"version_label": unquote(label)} if label else {}
        server = f"{address.netloc}/{prefix}".rstrip("/") if prefix else address.netloc
        return cls(address.scheme, server, unquote(name), choice)

    def client(self, **settings: Any) -> Any:
        """A blocking client of the server.

        Args:
            settings: as the client's constructor takes them, such as `timeout` and `retry_timeout`.
        """
        if self._is_grpc:
            from bert_serving.clients.grpc_client import GrpcClient

            return GrpcClient(self.server, **{**self._settings, **settings})
        from bert_serving.clients.rest_client import RestClient

        return RestClient(self._base_url, **settings)

    def async_client(self, **settings: Any) -> Any:
        """An asynchronous client of the server.

        Args:
            settings: as the client's constructor takes them, such as `timeout` and `retry_timeout`.
        """
        if self._is_grpc:
            from bert_serving.clients.grpc_client import AsyncGrpcClient

            return AsyncGrpcClient(self.server, **{**self._settings, **settings})
        from bert_serving.clients.rest_client import AsyncRestClient

        return AsyncRestClient(self._base_url, **settings)

    @property
    def _is_grpc(self) -> bool:
        return self.scheme.startswith("grpc")

    @property
    def _base_url(self) -> str:
        return f"{self.scheme}://{self.server}"

    @property
    def _settings(self) -> dict[str, Any]:
        return {"tls": ClientTls()} if self.scheme == "grpcs" else {}
