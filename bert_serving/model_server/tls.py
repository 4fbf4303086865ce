"""TLS for the ports: the SSL config file of TensorFlow Serving."""

import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bert_serving.errors import InputError

if TYPE_CHECKING:
    import grpc


@dataclass(frozen=True)
class Tls:
    """Key and certificates, in PEM form.

    Attributes:
        key: the server's private key.
        certificate: its certificate, with those that lead to the root.
        authority: who signs the clients' certificates; empty for the roots that gRPC knows.
        client_verify: only clients with a certificate of that authority are served.
    """

    key: bytes
    certificate: bytes
    authority: bytes = b""
    client_verify: bool = False

    def credentials(self) -> "grpc.ServerCredentials":
        """What a gRPC server needs to open the port."""
        import grpc

        return grpc.ssl_server_credentials(
            [(self.key, self.certificate)],
            root_certificates=self.authority or None,
            require_client_auth=self.client_verify,
        )

    def context(self) -> ssl.SSLContext:
        """What an HTTP server needs.

        Raises:
            InputError: a text holds no usable certificate or key.
        """
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        try:
            # The ssl module reads a chain from files only; this one is ours alone and gone at once.
            with tempfile.NamedTemporaryFile(prefix="bert-serving-", suffix=".pem") as chain:
                chain.write(self.key + b"\n" + self.certificate)
                chain.flush()
                context.load_cert_chain(chain.name)
            if self.authority:
                context.load_verify_locations(cadata=self.authority.decode())
        except (ssl.SSLError, ValueError) as error:
            raise InputError(f"The SSL config file holds no usable key and certificates: {error}") from None
        if self.client_verify:
            context.verify_mode = ssl.CERT_REQUIRED
        return context


def read_tls(path: Path) -> Tls:
    """Key and certificates from an SSL config file, which holds the PEM texts themselves.

    Raises:
        InputError: the file cannot be read or parsed, or a text in it is no PEM.
    """
    from bert_serving.model_server.config_messages import read_config_file

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
    )
