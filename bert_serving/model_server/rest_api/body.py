"""The body of a REST request: within its size, within its time, and unpacked."""

import asyncio
import zlib

from starlette.requests import Request

from bert_serving.errors import DeadlineExceeded, InvalidRequest


class BodyTooLargeError(InvalidRequest):
    """A body over the limit: HTTP 413."""


class BodyTooSlowError(DeadlineExceeded):
    """A body that does not come: HTTP 408."""


class BodyReader:
    """Reads bodies.

    Attributes:
        seconds: how long a body may take, besides the time for its bytes at the least rate.
        least_rate: bytes in a second. A large body over a slow link is waited for, one that trickles in is not.
    """

    seconds = 60.0
    least_rate = 1024.0

    def __init__(self, most_bytes: int):
        """Makes a reader of bodies of at most so many bytes."""
        self._most_bytes = most_bytes

    async def read(self, request: Request) -> bytes:
        """The body of a request as it was sent.

        Raises:
            BodyTooLargeError: it has, or announces, too many bytes.
            BodyTooSlowError: it does not come.
            ClientDisconnect: the client has gone.
        """
        announced = request.headers.get("content-length", "")
        if announced.isascii() and announced.isdigit():
            self._check_size(int(announced[:20]))
        try:
            return await self._read(request)
        except TimeoutError:
            raise BodyTooSlowError(
                f"The body has not come within {self.seconds:g} s: send as many bytes as Content-Length says"
            ) from None

    async def _read(self, request: Request) -> bytes:
        parts: list[bytes] = []
        size = 0
        began = asyncio.get_running_loop().time()
        async with asyncio.timeout(self.seconds) as deadline:
            async for chunk in request.stream():
                size += len(chunk)
                self._check_size(size)
                parts.append(chunk)
                deadline.reschedule(began + self.seconds + size / self.least_rate)
        return b"".join(parts)

    def unzipped(self, body: bytes) -> bytes:
        """The unpacked body; a few bytes can unpack to any amount, so that it stops at the limit.

        Raises:
            BodyTooLargeError: it unpacks to too many bytes.
            InvalidRequest: it is not gzip data.
        """
        unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        try:
            plain = unpacker.decompress(body, self._most_bytes + 1)
        except zlib.error:
            raise InvalidRequest("The body is not gzip data, as its Content-Encoding says") from None
        self._check_size(len(plain))
        if not unpacker.eof:
            raise InvalidRequest("The body is not gzip data, as its Content-Encoding says")
        return plain

    def _check_size(self, size: int) -> None:
        if size > self._most_bytes:
            raise BodyTooLargeError(
                f"The body is larger than {self._most_bytes} bytes, the most that this server takes"
            )
