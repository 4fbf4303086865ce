"""Optional packages (extras) that only some commands need."""

import importlib.util
from collections.abc import Sequence

from bert_serving.errors import InputError


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
        raise InputError(
            f"{what} need {', '.join(modules)}; missing: {', '.join(missing)}; pip install 'bert-serving[{extra}]'"
        )
