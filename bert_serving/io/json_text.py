"""JSON as every parser reads it."""

import json
import math
import re
from typing import Any

# `str.splitlines` ends lines at the first three; the others have no place in UTF-8.
_ESCAPED = re.compile("[\x85\u2028\u2029\ud800-\udfff]")


def json_text(value: Any, indent: int | None = None) -> str:
    """A value as JSON, on one line without an indent; numbers that are not finite, which JSON lacks, become null."""
    text = json.dumps(_finite(value), ensure_ascii=False, indent=indent, default=str)
    return _ESCAPED.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _finite(value: Any) -> Any:
    match value:
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {key: _finite(item) for key, item in value.items()}
        case list() | tuple():
            return [_finite(item) for item in value]
    return value
