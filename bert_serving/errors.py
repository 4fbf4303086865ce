"""Every error that this project raises on purpose, with exit status and gRPC code.

    BertServingError
    ├── InputError                 the caller's input is wrong: exit 2
    │   ├── RunFileError           a run file or an override; lists all problems at once
    │   ├── DataError              a data file, a column, a label, a split
    │   ├── EncoderError           an encoder folder, archive, weight file or vocabulary
    │   ├── RunFolderError         a run folder that is incomplete, in use or not writable
    │   ├── ExportError            a version that exists, a folder that cannot be written
    │   └── MissingExtraError      packages of an extra are not installed; is an ImportError, too
    ├── SourceError                a download failed from every source: exit 2
    ├── HubError                   a model hub cannot be reached or refuses an upload: exit 2
    ├── PublishError               a version cannot be published, labeled or removed: exit 2
    ├── TrainingError              training failed after it started: exit 1
    ├── WorkerError                one of several workers did not come, or is gone: exit 75, start it again
    │   └── WorkerLostError        a worker was lost while it trained
    ├── ScoringError               a scoring job ended before all rows were scored: exit 1
    ├── VerificationError          a SavedModel or an encoder failed a check: exit 1
    │   └── GateError              a candidate is not good enough to be published
    ├── RolloutError               servers did not load what was rolled out: exit 1
    └── RequestError               a model server refuses a request
        ├── InvalidRequest         INVALID_ARGUMENT
        ├── ServableNotFound       NOT_FOUND
        ├── FailedPrecondition     FAILED_PRECONDITION
        ├── Unimplemented          UNIMPLEMENTED
        ├── LoadError              UNKNOWN
        ├── DeadlineExceeded       DEADLINE_EXCEEDED
        ├── Cancelled              CANCELLED
        └── ServerUnavailable      UNAVAILABLE

Messages say what is wrong, the value received and what to do, in one line.
"""

from collections.abc import Mapping, Sequence
from typing import Any


class RenamedWarning(FutureWarning):
    """A key or an option has a new name; the old one still works."""


class BertServingError(Exception):
    """Base of all errors raised on purpose.

    Attributes:
        grpc_code: name of the canonical gRPC status code.
        exit_status: status of the command line when the error ends a command.

    ```python
    import bert_serving as bs

    try:
        bs.load("runs/missing")
    except bs.BertServingError as error:
        print(error)  # one line: what is wrong, the value received, what to do
    ```
    """

    grpc_code = "INTERNAL"
    exit_status = 2


class InputError(BertServingError):
    """The caller's input is wrong."""

    grpc_code = "INVALID_ARGUMENT"


class RunFileError(InputError):
    """A run file is wrong.

    Attributes:
        problems: one line for each problem.
    """

    def __init__(self, source: str, problems: Sequence[str]):
        """Joins the problems of a run file into one line."""
        self.problems = list(problems)
        super().__init__(f"{source}: " + "; ".join(self.problems))


class DataError(InputError):
    """Labeled text cannot be read or used."""


class EncoderError(InputError):
    """An encoder cannot be read, converted or loaded."""


class RunFolderError(InputError):
    """A run folder cannot be read, written or resumed."""


class ExportError(InputError):
    """A SavedModel cannot be written."""


class MissingExtraError(InputError, ImportError):
    """Something needs packages of an extra that is not installed."""


class SourceError(BertServingError):
    """An encoder could not be downloaded from any source."""

    grpc_code = "UNAVAILABLE"


class HubError(BertServingError):
    """A model hub cannot be reached, or refuses an upload."""

    grpc_code = "UNAVAILABLE"


class PublishError(BertServingError):
    """A version cannot be published, labeled or removed; nothing has changed."""

    grpc_code = "FAILED_PRECONDITION"


class TrainingError(BertServingError):
    """Training failed after it started."""

    grpc_code = "ABORTED"
    exit_status = 1


class WorkerError(BertServingError):
    """The other workers of a job on several machines did not come in time, or are gone; the same command goes on later."""

    grpc_code = "UNAVAILABLE"
    exit_status = 75  # EX_TEMPFAIL of sysexits.h: not wrong, to be tried again


class WorkerLostError(WorkerError):
    """A worker was lost while it trained: all others begin again after the last checkpoint."""


class ScoringError(BertServingError):
    """A scoring job ended before all rows were scored; the same call continues it."""

    grpc_code = "ABORTED"
    exit_status = 1


class VerificationError(BertServingError):
    """A SavedModel does not fulfill its contract.

    Attributes:
        problems: one line for each check that failed.
    """

    grpc_code = "FAILED_PRECONDITION"
    exit_status = 1

    def __init__(self, subject: str, problems: Sequence[str]):
        """Joins the failed checks of a subject into one line."""
        self.problems = list(problems)
        super().__init__(f"{subject}: " + "; ".join(self.problems))


class GateError(VerificationError):
    """A candidate is not good enough to be published."""


class RolloutError(BertServingError):
    """A model server did not load what was rolled out."""

    grpc_code = "ABORTED"
    exit_status = 1


class RequestError(BertServingError):
    """A model server refuses a request."""


class InvalidRequest(RequestError):
    """The request is malformed or does not fit the model."""

    grpc_code = "INVALID_ARGUMENT"


class ServableNotFound(RequestError):
    """No such model, version or label is loaded."""

    grpc_code = "NOT_FOUND"


class FailedPrecondition(RequestError):
    """The loaded model cannot answer this kind of request."""

    grpc_code = "FAILED_PRECONDITION"


class Unimplemented(RequestError):
    """The request is well formed, but this server does not support it."""

    grpc_code = "UNIMPLEMENTED"


class LoadError(RequestError):
    """A model that was asked for did not become available."""

    grpc_code = "UNKNOWN"


class DeadlineExceeded(RequestError):
    """The deadline of a request has passed."""

    grpc_code = "DEADLINE_EXCEEDED"


class Cancelled(RequestError):
    """The client cancelled the request."""

    grpc_code = "CANCELLED"


class ServerUnavailable(RequestError):
    """The server cannot answer now; a retry may succeed."""

    grpc_code = "UNAVAILABLE"


# The table of TensorFlow Serving's REST handler (http_server.cc).
_HTTP_STATUS = {
    "OK": 200,
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "ABORTED": 409,
    "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": 499,
    "UNKNOWN": 500,
    "INTERNAL": 500,
    "DATA_LOSS": 500,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}


def exit_status(error: BaseException) -> int:
    """Exit status of a command that `error` ended: 1 for a failed check or run, 2 for wrong input, 75 to be started again."""
    return error.exit_status if isinstance(error, BertServingError) else 1


def grpc_code(error: BaseException) -> str:
    """Name of the gRPC status code for `error`, "INTERNAL" for an unexpected one."""
    return error.grpc_code if isinstance(error, BertServingError) else "INTERNAL"


def http_status(code: str) -> int:
    """HTTP status for the name of a gRPC status code."""
    return _HTTP_STATUS.get(code, 500)


def describe_problem(problem: Mapping[str, Any], subject: str) -> str:
    """One line for one of pydantic's validation errors: key, what is wrong, the value received.

    Args:
        problem: one of `ValidationError.errors()`.
        subject: what is named where the problem is not that of a single key, such as "run file".
    """
    key = ".".join(str(part) for part in problem["loc"]) or subject
    match problem["type"]:
        case "extra_forbidden":
            return f"{key}: unknown key"
        case "missing":
            return f"{key}: missing"
        case "value_error":
            return f"{key}: {problem['ctx']['error']}"
    message = problem["msg"][0].lower() + problem["msg"][1:]
    return f"{key}: {message}, got {problem['input']!r}"
