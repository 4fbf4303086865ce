"""Memory of unloaded versions, returned to the operating system."""

import ctypes
import gc
import sys


def release_unused() -> None:
    """Collects garbage and, with glibc, returns free memory to the operating system.

    A loaded SavedModel holds reference cycles, which only the garbage collector frees. What
    TensorFlow allocates while it optimizes the graphs of a new version would otherwise stay with
    the process.
    """
    gc.collect()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it, musl does not
        if trim is not None:
            trim(0)


def freeze_startup_objects() -> None:
    """Exempts present objects from garbage collection, whose passes would stop requests."""
    gc.collect()
    gc.freeze()
