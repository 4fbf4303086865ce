"""Uploads to the Hugging Face Hub with huggingface_hub: its token, its endpoint, its transfer of large files."""

# ruff: noqa: PLC0415
# huggingface_hub is an optional extra.

import contextlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from bert_serving.encoders.download.http import is_offline
from bert_serving.encoders.download.hugging_face_hub import hugging_face_endpoint
from bert_serving.errors import HubError, InputError
from bert_serving.extras import require
from bert_serving.saved_model.sharing.share import SharedFiles

SCHEME = "hf://"
MAIN = "main"
_NAME = r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?"
_URL = re.compile(rf"hf://({_NAME})/({_NAME})")
_LOG_IN = "log in with `hf auth login`, or set HF_TOKEN to a token that may write"


@dataclass(frozen=True)
class HubRepository:
    """A model repository of a hub."""

    owner: str
    name: str

    def __str__(self) -> str:
        """Returns owner/name."""
        return f"{self.owner}/{self.name}"

    @classmethod
    def parse(cls, url: str) -> "HubRepository":
        """Reads hf://owner/name.

        Raises:
            InputError: it has another form.
        """
        match = _URL.fullmatch(url)
        if match is None or "--" in url or ".." in url or url.endswith(".git"):
            raise InputError(
                f"{url!r} is not a model repository; expected hf://owner/name, of letters, digits, dots, dashes and underscores"
            )
        return cls(*match.groups())


@dataclass(frozen=True)
class Commit:
    """How files are committed to a repository.

    Attributes:
        message: commit message.
        branch: branch of the commit; created from the main one when it does not exist.
        private: create a new repository as private, and refuse a public one.
    """

    message: str
    branch: str = MAIN
    private: bool = False


def check_access() -> None:
    """Checks before any long work that an upload can start.

    Raises:
        InputError: huggingface_hub is not installed.
        HubError: there is no token, or BERT_SERVING_OFFLINE is set.
        SourceError: HF_ENDPOINT is not an address.
    """
    require("uploads", ["huggingface_hub"], "hub")
    from huggingface_hub import get_token

    endpoint = hugging_face_endpoint()
    if is_offline():
        raise HubError("nothing is uploaded while BERT_SERVING_OFFLINE is set; unset it")
    with _one_line(endpoint):
        token = get_token()
    if token is None:
        raise HubError(f"there is no token for {endpoint}; {_LOG_IN}")


def upload(files: SharedFiles, repository: HubRepository, commit: Commit) -> str:
    """Uploads files in one commit, all or none, into a repository that is created where it does not exist.

    Other files of the repository do not change.

    Returns:
        The address of the commit.

    Raises:
        HubError: the hub cannot be reached, the upload is interrupted, or the hub refuses the token, the repository or the files.
    """
    check_access()
    from huggingface_hub import CommitOperationAdd, HfApi

    endpoint, name = hugging_face_endpoint(), str(repository)
    api = HfApi(endpoint=endpoint)
    with _quiet(), _one_line(f"{endpoint}/{name}"):
        api.create_repo(name, private=commit.private or None, exist_ok=True)
        if commit.private and not api.model_info(name).private:
            raise HubError(f"{endpoint}/{name}: exists and is public; leave --private out, or choose another name")
        if commit.branch != MAIN:
            api.create_branch(name, branch=commit.branch, exist_ok=True)
        operations = [CommitOperationAdd(path, content) for path, content in files.items()]
        # One commit: upload_folder may send several, and a reader could download an incomplete model.
        done = api.create_commit(name, operations, commit_message=commit.message, revision=commit.branch)
    return str(done.commit_url)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps huggingface_hub's progress bars and retry messages off the terminal."""
    from huggingface_hub.utils import (  # type: ignore[attr-defined]  # documented, but missing from __all__
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
        logging,
    )

    verbosity, disabled = logging.get_verbosity(), are_progress_bars_disabled()
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    disable_progress_bars()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if not disabled:
            enable_progress_bars()


@contextlib.contextmanager
def _one_line(address: str) -> Iterator[None]:
    # Of the HTTP client that this version of huggingface_hub uses.
    from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]  # imported there

    try:
        yield
    # Its own errors are OSErrors or ValueErrors; those of its threads and of hf_xet are RuntimeErrors.
    except (HTTPError, OSError, ValueError, RuntimeError, LookupError) as error:
        raise HubError(f"{address}: {_reason(error)}") from None


def _reason(error: BaseException) -> str:
    from huggingface_hub.errors import HfHubHTTPError

    if isinstance(error, HfHubHTTPError):
        return _refusal(error.response.status_code, _line(error.server_message or ""))
    if isinstance(error, RuntimeError) and isinstance(error.__cause__, Exception):
        return _reason(error.__cause__)
    if isinstance(error, json.JSONDecodeError):
        return "the answer is not JSON; does HF_ENDPOINT name a Hugging Face hub?"
    if isinstance(error, ValueError | LookupError):
        return f"the request is invalid: {_line(str(error))}"
    return f"the upload was interrupted: {_line(str(error)) or type(error).__name__}; share again"


def _refusal(status: int, message: str) -> str:
    said = f"HTTP {status}, {message!r}" if message else f"HTTP {status}"
    match status:
        case 401:
            return f"the hub does not accept the token ({said}); {_LOG_IN}"
        case 402 | 403:
            return f"the token has no write access there ({said}); check the owner's name, or {_LOG_IN}"
        case 404:
            return f"the hub has no such repository or branch ({said}); check the owner's name and the branch"
    remedy = "share again later" if status >= 500 or status == 429 else "correct what it names"
    return f"the hub refuses the upload ({said}); {remedy}"


def _line(text: str) -> str:
    return " ".join(text.split())
