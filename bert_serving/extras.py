"""Extras: packages that only some commands and functions need, and what is said where one is missing."""

import contextlib
import importlib.util
from collections.abc import Iterator, Mapping, Sequence

from bert_serving.errors import InputError, MissingExtraError

MODULES: Mapping[str, tuple[str, ...]] = {
    "tensorflow": (
        *("matplotlib", "ml_dtypes", "numpy", "official", "pandas", "pip", "pkg_resources", "pyarrow"),
        *("safetensors", "scipy", "sentencepiece", "setuptools", "sklearn", "tensorflow", "tensorflow_hub"),
        *("tensorflow_serving", "tensorflow_text", "tf_keras", "yaml"),
    ),
    "server": (
        *(
            "grpc_health",
            "grpc_reflection",
            "numpy",
            "prometheus_client",
            "starlette",
            "tensorflow",
            "tensorflow_serving",
        ),
        *("tensorflow_text", "tf_keras", "uvicorn", "uvloop"),
    ),
    "report": ("altair", "cleanlab", "datasketch", "jinja2", "vl_convert"),
    "map": ("umap",),
    "tune": ("optuna", "sqlalchemy"),
    "spark": ("pyspark",),
    "hub": ("huggingface_hub",),
    "publish": ("fsspec", "gcsfs", "s3fs"),
    "beam": ("apache_beam", "boto3", "google_crc32c"),
}
"""top-level modules by the extra of setup.cfg that installs them; all other ones are there in the base package"""
_EXTENDING_TENSORFLOW = ("report", "map", "tune", "hub", "publish", "beam", "spark")


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


@contextlib.contextmanager
def naming_extras(what: str = "this", extra: str | None = None) -> Iterator[None]:
    """Names the extra that has a module, where its import fails; around statements, or as a decorator.

    Args:
        what: what needs the module, such as "bert-serving train".
        extra: the extra to name if it has the module; None for the first one that has it.

    Raises:
        MissingExtraError: instead of the ImportError of a module of an extra that is not installed.

    Example:
        >>> with naming_extras("the map"):
        ...     import umap
    """
    try:
        yield
    except ImportError as error:
        module = (error.name or "").partition(".")[0]
        found = next((name for name in (extra, *MODULES) if name and _has(name, module)), None)
        # A module that is there failed for another reason.
        if found is None or importlib.util.find_spec(module) is not None:
            raise
        message = f"{what} needs {module}, which is not installed; {_advice(found)}"
        raise MissingExtraError(message, name=module) from None


def _has(extra: str, module: str) -> bool:
    return module in MODULES[extra] or (extra in _EXTENDING_TENSORFLOW and module in MODULES["tensorflow"])


def _advice(extra: str) -> str:
    return f"pip install 'bert-serving[{extra}]'"
