"""State of one version of a model, as a server reports it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class VersionStatus:
    """State of one version.

    Attributes:
        version: number of the version.
        state: START, LOADING, AVAILABLE, UNLOADING or END.
        error_code: name of the canonical status code, "OK" without an error.
        error_message: the error, empty without one.
    """

    version: int
    state: str
    error_code: str = "OK"
    error_message: str = ""
