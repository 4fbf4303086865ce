"""TLS for the ports: the SSL config file of TensorFlow Serving."""

import contextlib
import os
import ssl
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bert_serving.errors import InputError
from bert_serving.model_server.config.text_protos import read_config_file

if TYPE_CHECKING:
    import grpc


@dataclass(frozen=True)
class Tls:
    """Key and certificates, in PEM form.

    Attributes:
        key: the server's private key.
        certificate: its certificate, with those that lead to the root.
        authority: certificate that signs the clients' certificates; empty is gRPC's default.
        client_verify: require clients to have a certificate of that authority.
        source: file that they were read from, for error messages.
    """

    key: bytes
    certificate: bytes
    authority: bytes = b""
    client_verify: bool = False
    source: str = "The SSL config file"

    def credentials(self) -> "grpc.ServerCredentials":
        """Credentials for a gRPC server."""
        import grpc  # noqa: PLC0415  flags are parsed without it

        return grpc.ssl_server_credentials(
            [(self.key, self.certificate)],
            root_certificates=self.authority or None,
            require_client_auth=self.client_verify,
        )

    def context(self) -> ssl.SSLContext:
        """The SSL context for an HTTP server.

        Raises:
            InputError: a text holds no usable certificate or key.
        """
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        try:
            with _as_file(self.key + b"\n" + self.certificate) as chain:
                # Without a password, an encrypted key would prompt on the terminal.
                context.load_cert_chain(chain, password=lambda: "")
        except (ssl.SSLError, ValueError) as error:
            raise InputError(
                f"{self.source} holds no usable key and certificates: server_key and server_cert must be a PEM key without password "
                f"and its certificate ({error})"
            ) from None
        try:
            if self.authority:
                context.load_verify_locations(cadata=self.authority.decode())
        except (ssl.SSLError, ValueError) as error:
            raise InputError(
                f"{self.source} holds no usable custom_ca: it must be a PEM certificate ({error})"
            ) from None
        if self.client_verify:
            context.verify_mode = ssl.CERT_REQUIRED
        return context


def read_tls(path: Path) -> Tls:
    """Key and certificates from an SSL config file, which holds the PEM texts themselves.

    Raises:
        InputError: the file cannot be read or parsed, or a text in it is not PEM.
    """
    config = read_config_file(path, "SSLConfig")
    for field in ("server_key", "server_cert"):
        if "-----BEGIN " not in getattr(config, field):
            raise InputError(f"{path}: {field} holds no PEM text: give the contents of the file, not its path")
    if config.client_verify and not config.custom_ca:
        raise InputError(f"{path}: client_verify needs custom_ca, the authority that signs the clients' certificates")
    return Tls(
        key=config.server_key.encode(),
        certificate=config.server_cert.encode(),
        authority=config.custom_ca.encode(),
        client_verify=config.client_verify,
        source=str(path),
    )


@contextlib.contextmanager
def _as_file(text: bytes) -> Iterator[str]:
    """The path of a file with a secret for the ssl module; the file is in memory on Linux."""
    if sys.platform == "linux":
        with os.fdopen(os.memfd_create("bert-serving"), "wb") as file:
            file.write(text)
            file.flush()
            yield f"/proc/self/fd/{file.fileno()}"
    else:
        with tempfile.NamedTemporaryFile(prefix="bert-serving-", suffix=".pem") as named:
            named.write(text)
            named.flush()
            yield named.name
