"""Values of flags, read from their text; each reader raises argparse.ArgumentTypeError."""

import argparse
import re
from pathlib import Path

# The stock server's flags are 32-bit integers, too.
_HIGHEST = 2**31 - 1
MOST_THREADS = 4096


def boolean(text: str) -> bool:
    """True, 1, false or 0, in any case."""
    if text.lower() in ("true", "1"):
        return True
    if text.lower() in ("false", "0"):
        return False
    raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")


def whole_number(text: str, lowest: int = 0, highest: int = _HIGHEST) -> int:
    """Digits alone, within limits."""
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 1000 else -1
    if number < lowest:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least {lowest}")
    if number > highest:
        raise argparse.ArgumentTypeError(f"{text!r} is above {highest}, the greatest value")
    return number


def positive(text: str) -> int:
    """A whole number of at least 1."""
    return whole_number(text, 1)


def size(text: str) -> int:
    """Bytes, at least 1."""
    return whole_number(text, 1, 2**63 - 1)


def threads(text: str) -> int:
    """A number of threads; 0 leaves it to the server."""
    return whole_number(text, 0, MOST_THREADS)


def port_or_off(text: str) -> int | None:
    """A port; None for 0."""
    number = whole_number(text)
    if number > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: the highest is 65535")
    return number or None


def microseconds(text: str) -> float:
    """Seconds from microseconds; 0 for a negative number."""
    if not re.fullmatch(r"-?[0-9]{1,18}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of microseconds")
    return max(0, int(text)) / 1e6


def share(text: str) -> float:
    """A number from 0 to 1."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 1")
    return number


def version(text: str) -> str:
    """Numbers with dots between them."""
    if not all(part.isascii() and part.isdigit() for part in text.split(".")):
        raise argparse.ArgumentTypeError(f"{text!r} is not a version such as 2.20")
    return text


def path(text: str) -> Path | None:
    """A path; None where the text is empty."""
    return Path(text) if text else None


def channel_arguments(text: str) -> tuple[tuple[str, str | int], ...]:
    """Pairs of `name=value,name=value`; integers have 32 bits."""
    pairs: list[tuple[str, str | int]] = []
    for item in filter(None, text.split(",")):
        name, equals, value = item.partition("=")
        if not (name and equals):
            raise argparse.ArgumentTypeError(f"{item!r} is not of the form name=value")
        is_integer = bool(re.fullmatch(r"-?[0-9]+", value))
        if is_integer and (len(value) > 11 or abs(int(value)) > _HIGHEST):
            raise argparse.ArgumentTypeError(f"{item!r} is above {_HIGHEST}, the greatest value")
        pairs.append((name, int(value) if is_integer else value))
    return tuple(pairs)
