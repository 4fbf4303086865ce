"""Memory of versions that are gone, back to the system."""

import ctypes
import gc
import sys


def give_back() -> None:
    """Frees what nothing refers to any more and returns free memory to the system, where the C library can.

    A loaded SavedModel holds cycles, which only the collector ends. What TensorFlow needs for a while to optimize the
    graphs of a new version stays with the process otherwise.
    """
    gc.collect()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it, musl does not
        if trim is not None:
            trim(0)


def keep_for_good() -> None:
    """Takes everything there is now out of all later collections, each of which would stop every request meanwhile."""
    gc.collect()
    gc.freeze()
