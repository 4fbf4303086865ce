"""Limits of one request."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bert_serving.errors import InvalidRequest

if TYPE_CHECKING:  # flags are parsed before TensorFlow is imported
    import numpy as np

# The largest message that gRPC can receive, which is TensorFlow Serving's only limit.
_LARGEST_MESSAGE = 2**31 - 1


@dataclass(frozen=True)
class Limits:
    """Limits of a request; 0 is no limit.

    Attributes:
        request_bytes: size of its message or body, unpacked.
        rows: rows of its largest input.
        text_bytes: size of its longest string.
    """

    request_bytes: int = 0
    rows: int = 0
    text_bytes: int = 0

    @property
    def max_request_bytes(self) -> int:
        """Bytes of the largest request that is accepted."""
        return min(self.request_bytes or _LARGEST_MESSAGE, _LARGEST_MESSAGE)

    def check(self, inputs: "Mapping[str, np.ndarray]") -> None:
        """Checks a request by its inputs.

        Raises:
            InvalidRequest: it is over a limit.
        """
        for name, array in inputs.items():
            if self.rows and array.ndim and len(array) > self.rows:
                raise _too_many_rows(name, len(array), self.rows)
            if self.text_bytes and array.dtype == object:
                self._check_texts(name, array)

    def check_declared(self, sizes: Mapping[str, tuple[int, int]]) -> None:
        """Checks the sizes that inputs declare, before memory is taken for them.

        Args:
            sizes: rows and bytes of each input.

        Raises:
            InvalidRequest: one is over a limit.
        """
        for name, (rows, size) in sizes.items():
            if self.rows and rows > self.rows:
                raise _too_many_rows(name, rows, self.rows)
            if self.request_bytes and size > self.request_bytes:
                raise InvalidRequest(
                    f"Input {name} has {size} bytes; this server takes at most {self.request_bytes}: send smaller requests"
                )

    def _check_texts(self, name: str, array: "np.ndarray") -> None:
        longest = max(map(len, array.ravel().tolist()), default=0)
        if longest > self.text_bytes:
            raise InvalidRequest(
                f"Input {name} has a text of {longest} bytes; this server takes at most {self.text_bytes}: cut it"
            )


def _too_many_rows(name: str, rows: int, most: int) -> InvalidRequest:
    return InvalidRequest(f"Input {name} has {rows} rows; this server takes at most {most}: send smaller requests")
