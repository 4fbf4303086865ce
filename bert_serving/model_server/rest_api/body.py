"""The body of a REST request: size limit, timeout and gzip."""

import asyncio
import gzip
import io
import zlib

from starlette.requests import Request

from bert_serving.errors import DeadlineExceeded, InvalidRequest

_PIECE_BYTES = 1 << 20


class BodyTooLargeError(InvalidRequest):
    """A body over the limit: HTTP 413."""


class BodyTooSlowError(DeadlineExceeded):
    """A body that does not arrive in time: HTTP 408."""


class BodyEncodingError(InvalidRequest):
    """A body with another Content-Encoding than gzip: HTTP 415."""


def is_zipped(request: Request) -> bool:
    """Whether the body is gzip data, by Content-Encoding.

    Raises:
        BodyEncodingError: it has another encoding.
    """
    listed = ",".join(request.headers.getlist("content-encoding")).lower().split(",")
    encodings = [name for item in listed if (name := item.strip()) not in ("", "identity")]
    if encodings and encodings not in (["gzip"], ["x-gzip"]):
        raise BodyEncodingError(
            f"Content-Encoding {', '.join(encodings)!r} is not supported: send gzip, or no encoding"
        )
    return bool(encodings)


class BodyReader:
    """Reads bodies.

    Attributes:
        body_timeout: seconds for a body, besides the time for its bytes at the minimum rate.
        min_bytes_per_second: minimum rate, so that a slow link may send a large body.
    """

    body_timeout = 60.0
    min_bytes_per_second = 1024.0

    def __init__(self, max_bytes: int):
        """Makes a reader of bodies of up to `max_bytes` bytes, also after unpacking."""
        self._max_bytes = max_bytes

    async def read(self, request: Request) -> bytes:
        """The body of a request as it was sent.

        Raises:
            BodyTooLargeError: it has, or announces, too many bytes.
            BodyTooSlowError: it does not arrive in time.
            ClientDisconnect: the client has disconnected.
        """
        announced = request.headers.get("content-length", "")
        if announced.isascii() and announced.isdigit():
            self._check_size(int(announced[:20]))
        try:
            return await self._read(request)
        except TimeoutError:
            raise BodyTooSlowError(
                f"The body did not arrive within {self.body_timeout:g} s: send as many bytes as Content-Length says"
            ) from None

    async def _read(self, request: Request) -> bytes:
        parts: list[bytes] = []
        size = 0
        began = asyncio.get_running_loop().time()
        async with asyncio.timeout(self.body_timeout) as deadline:
            async for chunk in request.stream():
                size += len(chunk)
                self._check_size(size)
                parts.append(chunk)
                deadline.reschedule(began + self.body_timeout + size / self.min_bytes_per_second)
        return b"".join(parts)

    def unzipped(self, body: bytes) -> bytes:
        """The unpacked body; unpacking stops at the limit, as a small body may unpack to any size.

        Raises:
            BodyTooLargeError: it unpacks to more bytes than the limit.
            InvalidRequest: it is not gzip data.
        """
        plain = bytearray()
        try:
            with gzip.open(io.BytesIO(body)) as file:
                while piece := file.read(_PIECE_BYTES):
                    plain += piece
                    self._check_size(len(plain))
        except (EOFError, OSError, zlib.error):
            raise InvalidRequest("The body is not gzip data, as its Content-Encoding says") from None
        return bytes(plain)

    def _check_size(self, size: int) -> None:
        if size > self._max_bytes:
            raise BodyTooLargeError(
                f"The body is larger than {self._max_bytes} bytes, the limit of this server: send less"
            )
