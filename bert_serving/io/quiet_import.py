"""Imports of packages that write to the log while they are imported."""

import contextlib
import logging
from collections.abc import Iterator


@contextlib.contextmanager
def quiet_import() -> Iterator[None]:
    """Drops what is logged below an error; with a message to a root logger without handlers, `logging` would add one, too."""
    before = logging.root.manager.disable
    logging.disable(max(before, logging.WARNING))
    try:
        yield
    finally:
        logging.disable(before)
