"""Paths of this machine, and URLs of other storage."""


def is_local(path: str) -> bool:
    """Whether a path is one of this machine."""
    return "://" not in path
