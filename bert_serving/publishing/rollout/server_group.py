"""A group of model servers that serve the same models, over gRPC."""

import time
from collections.abc import Sequence
from typing import Any

from bert_serving.clients.grpc_client import GrpcClient
from bert_serving.errors import BertServingError, RolloutError, ServableNotFound

_POLL_SECONDS = 0.1
# After a failed load, a version is END until the server retries; it has failed only if it remains
# END for this long.
_FAILED_SECONDS = 3.0
_REQUEST_SECONDS = 10.0


class ServerGroup:
    """Servers that serve the same models.

    Attributes:
        addresses: host:port of each gRPC port.
    """

    def __init__(self, addresses: Sequence[str], timeout: float = 300.0):
        """Describes a group; connections are opened with the first request.

        Args:
            addresses: host:port of each gRPC port; a grpc:// URL is accepted, too.
            timeout: seconds for a version to become AVAILABLE.
        """
        self.addresses = [address.removeprefix("grpc://").rstrip("/") for address in addresses]
        self._timeout = timeout
        self._clients: dict[str, GrpcClient] = {}

    def available(self, model: str) -> dict[str, list[int]]:
        """Ascending AVAILABLE versions by address; empty if a server does not know the model.

        Raises:
            ServerUnavailable: a server does not answer.
        """
        available = {}
        for address in self.addresses:
            try:
                states = self._client(address).status(model)
            except ServableNotFound:
                states = []
            available[address] = sorted(state.version for state in states if state.state == "AVAILABLE")
        return available

    def reload(self, config: Any) -> None:
        """Sends a ModelServerConfig to every server.

        Raises:
            RolloutError: a server refuses it or does not answer.
        """
        for address in self.addresses:
            self.reload_server(address, config)

    def reload_server(self, address: str, config: Any) -> None:
        """Sends a ModelServerConfig to one server.

        Raises:
            RolloutError: the server refuses it or does not answer.
        """
        try:
            self._client(address).reload(config, timeout=self._timeout)
        except BertServingError as error:
            raise RolloutError(f"{address}: {error}") from None

    def wait_until_served(self, model: str, versions: Sequence[int]) -> None:
        """Waits until the versions are AVAILABLE on every server.

        Raises:
            RolloutError: a version fails to load, or is not AVAILABLE before the timeout.
        """
        for address in self.addresses:
            for version in versions:
                self._wait(address, model, version)

    def close(self) -> None:
        """Closes the connections; the next request opens new ones."""
        while self._clients:
            self._clients.popitem()[1].close()

    def _wait(self, address: str, model: str, version: int) -> None:
        started = time.monotonic()
        failed_since, last = None, "the server does not list it; check that it is in the model's base_path"
        while time.monotonic() - started < self._timeout:
            try:
                states = {state.version: state for state in self._client(address).status(model)}
            except BertServingError as error:
                states, last = {}, str(error)
            state = states.get(version)
            if state is not None:
                if state.state == "AVAILABLE":
                    return
                last = f"{state.state} {state.error_message}".strip()
                has_failed = state.state == "END" and state.error_code != "OK"
                failed_since = (failed_since or time.monotonic()) if has_failed else None
                if failed_since is not None and time.monotonic() - failed_since > _FAILED_SECONDS:
                    break
            time.sleep(_POLL_SECONDS)
        waited = time.monotonic() - started
        raise RolloutError(f"{address}: version {version} of {model} is not AVAILABLE after {waited:.0f} s: {last}")

    def _client(self, address: str) -> GrpcClient:
        if address not in self._clients:
            self._clients[address] = GrpcClient(address, timeout=_REQUEST_SECONDS)
        return self._clients[address]
