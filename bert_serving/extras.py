"""Packages that only some commands need, and what to say where they are not installed."""

import importlib.util
from collections.abc import Sequence

from bert_serving.errors import InputError


def require(what: str, modules: Sequence[str], extra: str) -> None:
    """Makes sure that optional packages are installed, before any long work starts.

    Args:
        what: what needs them, such as "pages".
        modules: names to import.
        extra: the extra of this project that brings them.

    Raises:
        InputError: one is not installed.
    """
    missing = [module for module in modules if importlib.util.find_spec(module) is None]
    if missing:
        raise InputError(
            f"{what} need {', '.join(modules)}; missing: {', '.join(missing)}; pip install 'bert-serving[{extra}]'"
        )
