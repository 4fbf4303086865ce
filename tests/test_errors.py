"""Every error has an exit status and a code of the wire."""

import pytest

from bert_serving import errors

CODES = {
    "ABORTED": 409,
    "CANCELLED": 499,
    "DEADLINE_EXCEEDED": 504,
    "FAILED_PRECONDITION": 400,
    "INTERNAL": 500,
    "INVALID_ARGUMENT": 400,
    "NOT_FOUND": 404,
    "UNAVAILABLE": 503,
    "UNIMPLEMENTED": 501,
    "UNKNOWN": 500,
}


def every(error: type) -> list[type]:
    return [error, *(found for child in error.__subclasses__() for found in every(child))]


ERRORS = sorted((each for each in set(every(errors.BertServingError)) if each.__module__ == errors.__name__), key=str)


def make(kind: type) -> errors.BertServingError:
    return (
        kind("subject", ["one", "two"])
        if issubclass(kind, errors.RunFileError | errors.VerificationError)
        else kind("what")
    )


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_every_error_has_an_exit_status_and_a_known_code(kind):
    error = make(kind)
    assert (
        errors.exit_status(error) == 75
        if isinstance(error, errors.WorkerError)
        else errors.exit_status(error) in (1, 2)
    )
    assert errors.grpc_code(error) in CODES
    assert errors.http_status(errors.grpc_code(error)) == CODES[errors.grpc_code(error)]
    assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        (errors.RunFileError, 2, "INVALID_ARGUMENT"),
        (errors.DataError, 2, "INVALID_ARGUMENT"),
        (errors.EncoderError, 2, "INVALID_ARGUMENT"),
        (errors.RunFolderError, 2, "INVALID_ARGUMENT"),
        (errors.ExportError, 2, "INVALID_ARGUMENT"),
        (errors.SourceError, 2, "UNAVAILABLE"),
        (errors.PublishError, 2, "FAILED_PRECONDITION"),
        (errors.GateError, 1, "FAILED_PRECONDITION"),
        (errors.RolloutError, 1, "ABORTED"),
        (errors.TrainingError, 1, "ABORTED"),
        (errors.VerificationError, 1, "FAILED_PRECONDITION"),
        (errors.InvalidRequest, 2, "INVALID_ARGUMENT"),
        (errors.ServableNotFound, 2, "NOT_FOUND"),
        (errors.FailedPrecondition, 2, "FAILED_PRECONDITION"),
        (errors.Unimplemented, 2, "UNIMPLEMENTED"),
        (errors.ServerUnavailable, 2, "UNAVAILABLE"),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_the_table_of_errors(kind, status, code):
    assert (errors.exit_status(make(kind)), errors.grpc_code(make(kind))) == (status, code)


def test_the_table_of_errors_is_drawn_in_the_docstring():
    assert [kind.__name__ for kind in ERRORS if kind.__name__ not in (errors.__doc__ or "")] == []


@pytest.mark.parametrize("kind", [errors.RunFileError, errors.VerificationError])
def test_errors_of_several_problems_keep_each(kind):
    error = kind("run.toml", ("first", "second"))
    assert error.problems == ["first", "second"]
    assert str(error) == "run.toml: first; second"


def test_what_is_unforeseen_is_internal():
    assert (errors.exit_status(ValueError()), errors.grpc_code(ValueError())) == (1, "INTERNAL")
    assert errors.http_status("NO_SUCH_CODE") == 500
