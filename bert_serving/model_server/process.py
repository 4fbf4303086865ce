"""A model server as a child process: tensorflow_model_server from PATH, or the embedded one."""

import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Self

import httpx

from bert_serving.errors import InputError, ServerUnavailable

_STOCK = "tensorflow_model_server"
EMBEDDED = (sys.executable, "-m", "bert_serving.model_server")
_POLL_SECONDS = 0.1
_LINES_SHOWN = 10


class ModelServerProcess:
    """A child process that serves one model while the context is open.

    Attributes:
        grpc_port: its gRPC port.
        rest_port: its REST port.
        program: the command without flags.
    """

    def __init__(
        self,
        base_path: Path | str,
        model_name: str,
        *,
        extra_flags: Sequence[str] = (),
        program: Sequence[str] | None = None,
        start_timeout: float = 120.0,
        stop_timeout: float = 10.0,
    ):
        """Describes the process; entering the context starts it.

        Args:
            base_path: folder that holds the numbered versions.
            model_name: name of the model in requests.
            extra_flags: further flags, in the form `--flag=value`.
            program: command to run instead of the stock server on PATH or the embedded one.
            start_timeout: seconds until the model must be AVAILABLE.
            stop_timeout: seconds from SIGTERM to SIGKILL.
        """
        self.program = tuple(program) if program is not None else _program()
        self.grpc_port, self.rest_port = free_ports(2)
        self._model_name = model_name
        self._flags = [
            f"--port={self.grpc_port}",
            f"--rest_api_port={self.rest_port}",
            f"--model_name={model_name}",
            f"--model_base_path={Path(base_path).absolute()}",
            *extra_flags,
        ]
        self._start_timeout = start_timeout
        self._stop_timeout = stop_timeout
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None

    @property
    def grpc_address(self) -> str:
        """host:port for gRPC clients."""
        return f"127.0.0.1:{self.grpc_port}"

    @property
    def rest_url(self) -> str:
        """Base URL for REST clients, without a slash at its end."""
        return f"http://127.0.0.1:{self.rest_port}"

    @property
    def process_id(self) -> int | None:
        """Its process id; None while it does not run."""
        return None if self._process is None else self._process.pid

    def log(self) -> str:
        """Its output so far."""
        if self._log is None:
            return ""
        return Path(self._log.name).read_text(encoding="utf-8", errors="replace")

    def start(self) -> None:
        """Starts the process and waits until the model is AVAILABLE.

        Raises:
            InputError: the program cannot be run.
            ServerUnavailable: it ended, its model failed to load, or it took too long.
        """
        self.launch()
        self.wait_until_available()

    def launch(self) -> None:
        """Starts the process without waiting for the model; the base path must exist.

        Raises:
            InputError: the program cannot be run.
        """
        self._log = tempfile.NamedTemporaryFile(prefix="model-server-", suffix=".log")  # noqa: SIM115  closed by stop
        try:
            self._process = subprocess.Popen(
                [*self.program, *self._flags], stdin=subprocess.DEVNULL, stdout=self._log, stderr=subprocess.STDOUT
            )
        except OSError as error:
            self.stop()
            raise InputError(f"Cannot run {self.program[0]}: {error.strerror}") from None

    def wait_until_available(self) -> None:
        """Waits until the model is AVAILABLE; a process that fails is stopped.

        Raises:
            ServerUnavailable: it ended, its model failed to load, or it took too long.
        """
        try:
            self._wait_until_available()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> int | None:
        """Ends the process by SIGTERM, or by SIGKILL after a timeout; returns its exit status."""
        status = None
        if self._process is not None:
            self._process.terminate()
            try:
                status = self._process.wait(self._stop_timeout)
            except subprocess.TimeoutExpired:
                self._process.kill()
                status = self._process.wait()
            self._process = None
        if self._log is not None:
            self._log.close()
            self._log = None
        return status

    def __enter__(self) -> Self:
        """Starts the process and waits until the model is AVAILABLE."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Ends the process."""
        self.stop()

    def _wait_until_available(self) -> None:
        deadline = time.monotonic() + self._start_timeout
        with httpx.Client(base_url=self.rest_url, timeout=5.0, trust_env=False) as client:
            while time.monotonic() < deadline:
                self._fail_if_ended()
                if self._available(client):
                    return
                time.sleep(_POLL_SECONDS)
        raise ServerUnavailable(
            f"{self._program_name()} did not make model {self._model_name} available within {self._start_timeout:g} s: "
            f"{self._last_lines()}"
        )

    def _available(self, client: httpx.Client) -> bool:
        try:
            reply = client.get(f"/v1/models/{self._model_name}")
        except httpx.TransportError:
            return False
        if reply.status_code != 200:
            return False
        versions = reply.json()["model_version_status"]
        if any(version["state"] == "AVAILABLE" for version in versions):
            return True
        if versions and all(version["state"] == "END" for version in versions):
            text = versions[0].get("status", {}).get("error_message", "")
            raise ServerUnavailable(f"{self._program_name()} could not load model {self._model_name}: {text}")
        return False

    def _fail_if_ended(self) -> None:
        status = None if self._process is None else self._process.poll()
        if status is not None:
            raise ServerUnavailable(f"{self._program_name()} ended with status {status}: {self._last_lines()}")

    def _program_name(self) -> str:
        return Path(self.program[0]).name if len(self.program) == 1 else self.program[-1]

    def _last_lines(self) -> str:
        lines = [line.strip() for line in self.log().splitlines() if line.strip()]
        return " | ".join(lines[-_LINES_SHOWN:]) or "it wrote nothing"


def _program() -> tuple[str, ...]:
    stock = shutil.which(_STOCK)
    return (stock,) if stock else EMBEDDED


def free_ports(count: int) -> list[int]:
    """Distinct free ports of the loopback interface, which another process may still take."""
    # All are held until the last one is known.
    holders = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [holder.getsockname()[1] for holder in holders]
    finally:
        for holder in holders:
            holder.close()
