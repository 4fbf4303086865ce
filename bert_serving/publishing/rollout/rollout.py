"""Moving labels on running servers: each step on all of them, and all the way back when one does not follow."""

import contextlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bert_serving.errors import BertServingError, PublishError, RolloutError, ServableNotFound
from bert_serving.files import write_whole
from bert_serving.observer import Observer
from bert_serving.publishing.rollout.models_config import ModelsConfig, Served, Step

if TYPE_CHECKING:
    from bert_serving.clients.grpc_client import GrpcClient

_POLL_SECONDS = 0.1
# A version that failed once is END until the server tries again; only one that stays so has failed.
_PATIENCE_SECONDS = 3.0


@dataclass
class ServerGroup:
    """Servers that serve the same models.

    Attributes:
        addresses: host:port of each gRPC port.
        timeout: seconds for a version to become AVAILABLE.
    """

    addresses: Sequence[str]
    timeout: float = 300.0
    _clients: dict[str, "GrpcClient"] = field(default_factory=dict)

    def available(self, model: str) -> dict[str, list[int]]:
        """Versions that are AVAILABLE, by address; none where the server does not know the model.

        Raises:
            ServerUnavailable: a server does not answer.
        """
        found = {}
        for address in self.addresses:
            try:
                states = self._client(address).status(model)
            except ServableNotFound:
                states = []
            found[address] = sorted(state.version for state in states if state.state == "AVAILABLE")
        return found

    def reload(self, message: Any) -> None:
        """Tells every server what to serve.

        Raises:
            RolloutError: a server refuses or does not answer.
        """
        for address in self.addresses:
            try:
                self._client(address).reload(message, timeout=self.timeout)
            except BertServingError as error:
                raise RolloutError(f"{address}: {error}") from None

    def wait(self, model: str, versions: Sequence[int]) -> None:
        """Waits until every server has the versions AVAILABLE.

        Raises:
            RolloutError: a version fails to load, or not in time.
        """
        for address in self.addresses:
            for version in versions:
                self._wait(address, model, version)

    def close(self) -> None:
        """Closes the connections."""
        for client in self._clients.values():
            client.close()

    def _wait(self, address: str, model: str, version: int) -> None:
        started = time.monotonic()
        failed_since, last = None, "not seen; is it where the server looks?"
        while time.monotonic() - started < self.timeout:
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
                if failed_since is not None and time.monotonic() - failed_since > _PATIENCE_SECONDS:
                    break
            time.sleep(_POLL_SECONDS)
        waited = time.monotonic() - started
        raise RolloutError(f"{address}: version {version} of {model} is not AVAILABLE after {waited:.0f} s: {last}")

    def _client(self, address: str) -> "GrpcClient":
        from bert_serving.clients.grpc_client import GrpcClient

        if address not in self._clients:
            self._clients[address] = GrpcClient(address, timeout=10.0)
        return self._clients[address]


def follow(
    path: Path, config: ModelsConfig, model: str, steps: Sequence[Step], servers: ServerGroup, observer: Observer
) -> ModelsConfig:
    """Takes the steps, in the file and on every server; when one fails, both are as before.

    The file is written before the servers are told: servers that read it by themselves must not undo what they were told.

    Returns:
        the file at the end.

    Raises:
        RolloutError: a server did not follow; names it and its reason.
        PublishError: the file cannot be written.
    """
    at = config
    try:
        for step in steps:
            changed = at.change(model, step.served)
            with observer.stage(step.what[:1].upper() + step.what[1:]):
                changed.save(path, instead_of=at)
                at = changed
                servers.reload(at.message)
                servers.wait(model, step.awaited)
    except (RolloutError, KeyboardInterrupt) as error:
        _go_back(path, config, at, servers)
        if isinstance(error, RolloutError):
            raise RolloutError(f"{error}; {path.name} and the servers are as before") from None
        raise
    return at


def _go_back(path: Path, config: ModelsConfig, at: ModelsConfig, servers: ServerGroup) -> None:
    config.save(path, instead_of=at)
    for address in servers.addresses:
        with contextlib.suppress(BertServingError):
            ServerGroup([address], servers.timeout, servers._clients).reload(config.message)


# === What was done, for going back ===


@dataclass(frozen=True)
class Move:
    """A change of labels.

    Attributes:
        model: the model.
        before: its labels before.
        after: its labels after.
        when: UTC, ISO 8601.
    """

    model: str
    before: dict[str, int]
    after: dict[str, int]
    when: str


def history_file(config: Path) -> Path:
    """The moves of a models.config lie beside it."""
    return config.with_name(f"{config.name}.history")


def read_history(config: Path) -> list[Move]:
    """Moves, oldest first.

    Raises:
        PublishError: the file is damaged.
    """
    path = history_file(config)
    if not path.is_file():
        return []
    try:
        return [Move(**json.loads(line)) for line in path.read_text("utf-8").splitlines() if line.strip()]
    except (OSError, ValueError, TypeError) as error:
        raise PublishError(f"{path}: damaged: {error}; remove it, and move labels with `bert-serving label`") from None


def record_move(config: Path, model: str, before: Served, after: Served) -> None:
    """Adds a move."""
    move = Move(model, dict(before.labels), dict(after.labels), datetime.now(UTC).isoformat(timespec="seconds"))
    _write_history(config, [*read_history(config), move])


def last_move(config: Path, model: str, now: Served) -> Move:
    """The move that a rollback takes back.

    Raises:
        PublishError: there is none, or the labels have changed since then.
    """
    moves = [move for move in read_history(config) if move.model == model]
    if not moves:
        raise PublishError(f"{history_file(config)}: knows no move of a label of {model}; use `bert-serving label`")
    if moves[-1].after != dict(now.labels):
        raise PublishError(
            f"{config}: the labels of {model} were changed by hand since {moves[-1].when}; use `bert-serving label`"
        )
    return moves[-1]


def forget_move(config: Path, move: Move) -> None:
    """Removes a move that was taken back, so that the next rollback goes one further."""
    moves = read_history(config)
    del moves[len(moves) - 1 - moves[::-1].index(move)]
    _write_history(config, moves)


def _write_history(config: Path, moves: Sequence[Move]) -> None:
    path = history_file(config)
    try:
        write_whole(path, "".join(json.dumps(vars(move)) + "\n" for move in moves).encode())
    except OSError as error:
        raise PublishError(f"{path}: cannot write it: {error.strerror}") from None
