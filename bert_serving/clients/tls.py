"""TLS files of a client: the authority that it trusts, and its own certificate."""

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bert_serving.errors import InputError

if TYPE_CHECKING:
    import grpc


@dataclass(frozen=True, kw_only=True)
class ClientTls:
    """TLS files of a client, in PEM form.

    Attributes:
        authority: certificate of the authority that signs the server's; None trusts the roots of
            this machine.
        certificate: the client's own certificate, where the server asks for one.
        key: private key of that certificate.

    ```python
    from pathlib import Path

    from bert_serving.clients.tls import ClientTls

    tls = ClientTls(authority=Path("ca.pem"))  # for Client("grpcs://host:8500/tiny", tls=tls)
    ```
    """

    authority: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def __post_init__(self) -> None:
        """Checks that certificate and key come together."""
        if (self.certificate is None) != (self.key is None):
            raise InputError("A client's certificate and its key go together: give both or none")

    def channel_credentials(self) -> "grpc.ChannelCredentials":
        """Credentials for a gRPC channel.

        Raises:
            InputError: a file cannot be read.
        """
        import grpc  # noqa: PLC0415  a REST client needs none

        return grpc.ssl_channel_credentials(
            root_certificates=_bytes(self.authority),
            private_key=_bytes(self.key),
            certificate_chain=_bytes(self.certificate),
        )

    def context(self) -> ssl.SSLContext:
        """TLS context for an HTTP client.

        Raises:
            InputError: a file cannot be read, or does not hold a certificate or key.
        """
        for path in (self.authority, self.certificate, self.key):
            _bytes(path)
        try:
            context = ssl.create_default_context(cafile=self.authority)
            if self.certificate is not None:
                context.load_cert_chain(self.certificate, self.key)
        except ssl.SSLError as error:
            raise InputError(f"{self.authority or self.certificate}: no usable PEM text: {error.reason}") from None
        return context


def _bytes(path: Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror}") from None
