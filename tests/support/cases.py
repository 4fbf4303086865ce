"""Tables of cases of which the default run takes a part, and `-m slow` the others."""

from collections.abc import Iterable
from typing import Any

import pytest


def slow_but(cases: Iterable[Any], kept: Iterable[Any]) -> list[Any]:
    """The cases for `parametrize`; those that are not kept are slow. A case of several parameters is a tuple."""
    kept = list(kept)
    cases = [case if isinstance(case, tuple) else (case,) for case in cases]
    names = [each if isinstance(each, tuple) else (each,) for each in kept]
    assert all(name in cases for name in names), "each kept case is one of the table"
    return [pytest.param(*case, marks=[] if case in names else [pytest.mark.slow]) for case in cases]
