"""Extras: packages that only some commands and functions need, and what is said where one is missing."""

import functools
import importlib.util
from collections.abc import Callable, Mapping, Sequence
from typing import ParamSpec, TypeVar

from bert_serving.errors import InputError, MissingExtraError

MODULES: Mapping[str, tuple[str, ...]] = {
    "tensorflow": (
        *("filelock", "matplotlib", "ml_dtypes", "numpy", "official", "pandas", "pip", "pkg_resources", "pyarrow"),
        *("safetensors", "scipy", "sentencepiece", "setuptools", "sklearn", "tensorflow", "tensorflow_hub"),
        *("tensorflow_serving", "tensorflow_text", "tf_keras", "yaml"),
    ),
    "server": ("grpc_health", "grpc_reflection", "h11", "prometheus_client", "starlette", "uvicorn", "uvloop"),
    "report": ("altair", "cleanlab", "datasketch", "jinja2", "vl_convert"),
    "map": ("umap",),
    "hub": ("huggingface_hub",),
    "publish": ("fsspec", "gcsfs", "s3fs"),
}
"""top-level modules by the extra of setup.cfg that installs them; the base package installs all others"""

_P = ParamSpec("_P")
_T = TypeVar("_T")


def require(what: str, modules: Sequence[str], extra: str) -> None:
    """Checks that optional packages are installed, before any long work starts.

    Args:
        what: what needs them, such as "pages".
        modules: names to import.
        extra: the extra of this project that installs them.

    Raises:
        InputError: one is not installed.
    """
    missing = [module for module in modules if importlib.util.find_spec(module) is None]
    if missing:
        raise InputError(f"{what} need {', '.join(modules)}; missing: {', '.join(missing)}; {_advice(extra)}")


def missing_extra(error: ImportError, what: str = "this", extra: str | None = None) -> MissingExtraError | None:
    """What to say of an import that failed because an extra is not installed.

    Args:
        error: what was raised.
        what: what was to be done, such as "the server".
        extra: the extra to name; None for the one that has the module.

    Returns:
        None for a module that no extra has, or that is installed and failed for another reason.
    """
    module = (error.name or "").partition(".")[0]
    found = next((extra for extra, modules in MODULES.items() if module in modules), None)
    if found is None or importlib.util.find_spec(module) is not None:
        return None
    return MissingExtraError(f"{what} needs {module}, which is not installed; {_advice(extra or found)}", name=module)


def names_missing_extra(function: Callable[_P, _T]) -> Callable[_P, _T]:
    """Makes a function say which extra it needs, where one is not installed.

    Args:
        function: raises ImportError then.

    Returns:
        the function, which raises MissingExtraError instead.
    """

    @functools.wraps(function)
    def call(*arguments: _P.args, **options: _P.kwargs) -> _T:
        try:
            return function(*arguments, **options)
        except ImportError as error:
            advice = missing_extra(error)
            if advice is None:
                raise
            raise advice from error

    return call


def _advice(extra: str) -> str:
    return f"pip install 'bert-serving[{extra}]'"
