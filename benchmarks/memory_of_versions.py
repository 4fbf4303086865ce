"""Memory and load time of the embedded server, all signatures of each version warm.

    python benchmarks/memory_of_versions.py models/bike_shop/1 models/padded/1 --copies 1 2

Processor seconds are those of the server until its model is AVAILABLE, less those of a server with
an empty model, which are the import of TensorFlow. The source of the figures in
bert_serving/publishing/kubernetes/sizing.py.
"""

import argparse
import os
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

EMBEDDED = (sys.executable, "-m", "bert_serving.model_server")
_MEBI = 1 << 20
_CONFIG = """model_config_list {{ config {{
  name: "model" base_path: "{base}" model_platform: "tensorflow" model_version_policy {{ all {{}} }}
}} }}
"""


def memory_and_seconds(version: Path, copies: int) -> tuple[float, float]:
    """MiB and processor seconds of a server with a number of loaded copies of a version."""
    from server_soak import resident

    from bert_serving.model_server.process import ModelServerProcess

    with tempfile.TemporaryDirectory() as name:
        base, config = Path(name) / "model", Path(name) / "models.config"
        for number in range(1, copies + 1):
            shutil.copytree(version, base / str(number))
        config.write_text(_CONFIG.format(base=base), "utf-8")
        flags = [f"--model_config_file={config}", "--tensorflow_intra_op_parallelism=1"]
        with ModelServerProcess(base, "model", program=EMBEDDED, extra_flags=flags, start_timeout=600) as server:
            return resident(server.process_id), processor_seconds(server.process_id)


def processor_seconds(process: int | None) -> float:
    """User and system time of a process so far (proc_pid_stat(5), fields 14 and 15)."""
    fields = Path(f"/proc/{process}/stat").read_text("utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def empty_version(folder: Path) -> Path:
    """A model with next to nothing in it."""
    import tensorflow as tf

    module = tf.Module()
    function = tf.function(lambda x: {"y": x}, input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    tf.saved_model.save(module, str(folder), signatures=function.get_concrete_function())
    return folder


def main() -> None:
    """Prints a line for each version and number of copies."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("versions", type=Path, nargs="+", help="folders of versions")
    parser.add_argument("--copies", type=int, nargs="+", default=[1])
    parser.add_argument("--rounds", type=int, default=3, help="medians of so many, taken in turns")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        empty = empty_version(Path(name) / "1")
        subjects = [(empty, 1), *((version, copies) for version in given.versions for copies in given.copies)]
        figures: dict[tuple[Path, int], list[tuple[float, float]]] = {subject: [] for subject in subjects}
        for _ in range(given.rounds):
            for subject in subjects:
                figures[subject].append(memory_and_seconds(*subject))
    imports = statistics.median(seconds for _, seconds in figures[empty, 1])
    print("  files, MiB  memory, MiB  load, processor seconds")
    for (version, copies), measured in figures.items():
        size = sum(path.stat().st_size for path in version.rglob("*") if path.is_file())
        memory, seconds = map(statistics.median, zip(*measured, strict=True))
        what = f"nothing; its start takes {imports:.1f}" if version is empty else f"{copies} x {version}"
        print(f"{size / _MEBI:12.0f} {memory:12.0f} {seconds - imports:24.1f}  {what}")


if __name__ == "__main__":
    main()
