"""State of one version of a model, as a server reports it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class VersionStatus:
    """State of one version.

    Attributes:
        version: its number.
        state: START, LOADING, AVAILABLE, UNLOADING or END.
        error_code: name of the canonical code, "OK" when all is well.
        error_message: what went wrong, else empty.
    """

    version: int
    state: str
    error_code: str = "OK"
    error_message: str = ""
