"""Lines of JSON, where a wrong line costs only itself."""

import json
from typing import Any


def parsed_object(line: bytes) -> tuple[dict[str, Any] | None, str]:
    """The object in a line, or None and what is wrong with the line."""
    try:
        value = json.loads(line.decode())
    except UnicodeDecodeError as error:
        return None, f"is not valid UTF-8 at byte {error.start}"
    except (ValueError, RecursionError) as error:
        return None, f"is not valid JSON: {str(error).splitlines()[0]}"
    return (value, "") if isinstance(value, dict) else (None, f"is a {type(value).__name__}, not an object")
