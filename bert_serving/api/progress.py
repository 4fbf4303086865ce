"""Whether a call shows its progress."""

import sys

from bert_serving.observer import Observer


def observer_of(progress: "bool | Observer | None") -> Observer:
    """The observer of a call.

    Args:
        progress: an observer to tell, whether to print the progress, or None to print it in a notebook and on a terminal.
    """
    if isinstance(progress, Observer):
        return progress
    if progress is None:
        progress = sys.stdout.isatty() or hasattr(sys, "ps1") or "ipykernel" in sys.modules
    if not progress:
        return Observer()
    from bert_serving.console import ConsoleObserver  # noqa: PLC0415  rich is slow to import

    return ConsoleObserver()
