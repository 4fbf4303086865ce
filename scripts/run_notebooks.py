"""Executes the notebooks of docs/tutorials/ and keeps their outputs in them.

    bert-serving demo
    python scripts/run_notebooks.py --data /path/to/data [NOTEBOOK...]

DATA has the folders imdb/ and emotion/; the demo's folder is `demo`. Each notebook runs in a new folder in which `data` and `demo` are
links to these.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parent.parent / "docs" / "tutorials"
_SECONDS_OF_A_CELL = 1200
_LOGS = ("INFO:tensorflow:", "WARNING:tensorflow:")


def execute(path: Path, folder: Path) -> nbformat.NotebookNode:
    """Executes a notebook in a folder and returns it with its outputs.

    Raises:
        CellExecutionError: a cell failed; has its code and traceback.
    """
    notebook = nbformat.read(path, as_version=4)
    # Commands of a cell are those that are installed beside this Python.
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    resources = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, timeout=_SECONDS_OF_A_CELL, kernel_name="python3", resources=resources).execute()
    return without_traces(notebook)


def without_traces(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Removes what differs from run to run or from machine to machine: times, versions, and what TensorFlow logs."""
    notebook.metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"
        cell.metadata = {}
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if not _is_log(output)]
    return notebook


def _is_log(output: nbformat.NotebookNode) -> bool:
    return output.get("name") == "stderr" or output.get("text", "").startswith(_LOGS)


def main(arguments: list[str]) -> int:
    """Executes the named notebooks, or all, and writes them."""
    parser = argparse.ArgumentParser(description="Execute the notebooks of the docs and keep their outputs.")
    parser.add_argument("--data", type=Path, required=True, help="folder with imdb/ and emotion/")
    parser.add_argument("--demo", type=Path, default=Path("demo"), help="folder that `bert-serving demo` wrote")
    parser.add_argument("notebooks", nargs="*", type=Path, help="notebooks; default: all of docs/tutorials")
    given = parser.parse_args(arguments)
    for path in given.notebooks or sorted(NOTEBOOKS.glob("*.ipynb")):
        with tempfile.TemporaryDirectory() as folder:
            for name in ("data", "demo"):
                Path(folder, name).symlink_to(getattr(given, name).resolve())
            nbformat.write(execute(path, Path(folder)), path)
        print(f"executed {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
