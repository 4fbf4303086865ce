import ctypes
import sys
from pathlib import Path

import numpy as np
import pytest

from bert_serving.model_server.models import memory


def resident_mib():
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024


@pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="needs Linux with glibc"
)
def test_memory_of_cycles_goes_back_to_the_system():
    cycle = {"arrays": [np.ones(60_000, np.uint8) for _ in range(4_000)]}  # below the size that is mapped on its own
    cycle["itself"] = cycle
    last = np.ones(60_000, np.uint8)  # what lies behind them keeps the heap from shrinking by itself
    before = resident_mib()
    del cycle
    memory.release_unused()
    assert resident_mib() < before - 150
    assert last.sum() == 60_000
