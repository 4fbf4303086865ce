"""The wheel of this project, and environments that it is installed in."""

import subprocess
import sys
import venv
from pathlib import Path

import pytest

from support.paths import ROOT


def build_wheel(folder: Path) -> Path:
    """Builds the wheel from a copy: in place, building would leave build/ and egg-info behind."""
    pytest.importorskip("build", reason="needs build to build the wheel")
    pytest.importorskip("setuptools")
    (folder / "source").mkdir()
    names = ["setup.cfg", "setup.py", "MANIFEST.in", "pyproject.toml", "README.md", "LICENSE"]
    subprocess.run(["cp", "-r", *names, "bert_serving", "export", "k8s", folder / "source"], cwd=ROOT, check=True)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--skip-dependency-check", "-o", str(folder)]
    result = subprocess.run(command, cwd=folder / "source", capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-2000:]
    (path,) = folder.glob("*.whl")
    return path


class Environment:
    """A new virtual environment, with pip."""

    def __init__(self, folder: Path):
        venv.create(folder, with_pip=True)
        self.bin = folder / "bin"
        self.folder = folder
        (self.site,) = folder.glob("lib/python*/site-packages")

    def install(self, *arguments: object) -> None:
        """Installs packages; skips the test where no package index is reached."""
        ended = self._pip("install", *arguments)
        if ended.returncode and self._pip("download", "--no-deps", "-d", self.folder, "idna").returncode:
            pytest.skip("needs a package index")
        assert ended.returncode == 0, ended.stderr[-2000:]

    def uninstall(self, name: str) -> None:
        assert self._pip("uninstall", "--yes", name).returncode == 0

    def megabytes(self) -> float:
        """Size of the installed files, without compiled ones."""
        files = (path for path in self.site.rglob("*") if path.is_file() and path.suffix != ".pyc")
        return sum(path.stat().st_size for path in files) / 2**20

    def run(self, program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        """Runs a program of the environment in its folder, where no module of the checkout is found."""
        command = [str(self.bin / program), *map(str, arguments)]
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(self.folder), "COLUMNS": "200"}
        return subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=300, check=False
        )

    def _pip(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        command = [str(self.bin / "pip"), "--disable-pip-version-check", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
