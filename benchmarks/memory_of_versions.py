"""How much memory a loaded version takes for each byte of its files, and a server without a model.

    python benchmarks/memory_of_versions.py --model models/bike_shop

One process loads the same version three times, asks each for 32 long texts, and looks at its own memory in between.
"""

import argparse
import itertools
import json
import os
import shutil
import tempfile
from pathlib import Path

LOADS = 3
_TEXTS = ["word " * 200] * 32


def resident() -> int:
    """Bytes of this process in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    given = parser.parse_args()
    from bert_serving.saved_model.reader import ExportedModel
    from bert_serving.saved_model.versions import latest_version

    version = latest_version(given.model)
    size = sum(path.stat().st_size for path in version.rglob("*") if path.is_file())
    models, seen = [], [resident()]
    with tempfile.TemporaryDirectory() as temporary:
        for number in range(LOADS):
            copy = shutil.copytree(version, Path(temporary) / str(number))
            models.append(ExportedModel(copy))
            models[-1].predict(_TEXTS)
            seen.append(resident())
    grown = [after - before for before, after in itertools.pairwise(seen)]
    print(json.dumps({"files": size, "without": seen[0], "grown": grown, "per_byte": [each / size for each in grown]}))


if __name__ == "__main__":
    main()
