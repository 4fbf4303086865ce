"""Memory of the embedded server with one and with two loaded versions, all their signatures warm.

    python benchmarks/memory_of_versions.py --version models/bike_shop/1

The source of the figures in bert_serving/publishing/kubernetes/sizing.py.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

EMBEDDED = (sys.executable, "-m", "bert_serving.model_server")
_MEBI = 1 << 20
_CONFIG = """model_config_list {{ config {{
  name: "model" base_path: "{base}" model_platform: "tensorflow" model_version_policy {{ all {{}} }}
}} }}
"""


def resident(version: Path, copies: int) -> int:
    """MiB of a server with a number of loaded copies of a version."""
    from server_soak import resident as resident_mebi

    from bert_serving.model_server.process import ModelServerProcess

    with tempfile.TemporaryDirectory() as name:
        base, config = Path(name) / "model", Path(name) / "models.config"
        for number in range(1, copies + 1):
            shutil.copytree(version, base / str(number))
        config.write_text(_CONFIG.format(base=base), "utf-8")
        flags = [f"--model_config_file={config}", "--tensorflow_intra_op_parallelism=1"]
        with ModelServerProcess(base, "model", program=EMBEDDED, extra_flags=flags, start_timeout=600) as server:
            return round(resident_mebi(server.process_id))


def main() -> None:
    """Prints a line for each number of versions."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--version", type=Path, required=True, help="folder of a version")
    given = parser.parse_args()
    size = sum(path.stat().st_size for path in given.version.rglob("*") if path.is_file())
    print(f"{size / _MEBI:8.0f} MiB of files")
    for copies in (1, 2):
        print(f"{resident(given.version, copies):8.0f} MiB of memory with {copies} loaded", flush=True)


if __name__ == "__main__":
    main()
