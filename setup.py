"""The wheel carries a copy of k8s/; everything else is in setup.cfg."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithManifests(build_py):
    """Copies the manifests to where `bert_serving.publishing.kubernetes` looks for them first."""

    def run(self) -> None:
        """Builds the package, then copies the manifests into it."""
        super().run()
        # An editable installation reads the real folder.
        if not self.editable_mode:
            target = Path(self.build_lib, "bert_serving", "publishing", "kubernetes", "kustomize")
            shutil.copytree("k8s", target, dirs_exist_ok=True)


setup(cmdclass={"build_py": BuildWithManifests})
