"""License and languages of a model, read from the metadata of its model card or from a run.

Format: the YAML between two lines of dashes at the start of a README.md, https://huggingface.co/docs/hub/model-cards
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bert_serving import contract

_METADATA = re.compile(r"---\n(.*?\n)---\n", re.DOTALL)


@dataclass(frozen=True)
class LicenseAndLanguages:
    """What a model card says about using a model.

    Attributes:
        license: an SPDX identifier or a name that model hubs know; None when unknown.
        languages: ISO 639 codes; empty when unknown.
    """

    license: str | None = None
    languages: tuple[str, ...] = ()


UNKNOWN = LicenseAndLanguages()


def licensing_of_readme(folder: Path) -> LicenseAndLanguages:
    """License and languages in the metadata of a folder's README.md; unknown where there is none."""
    try:
        metadata = _METADATA.match((folder / "README.md").read_text("utf-8"))
        return _licensing(yaml.safe_load(metadata[1])) if metadata else UNKNOWN
    except (OSError, ValueError, yaml.YAMLError):
        return UNKNOWN


def licensing_of_run(run: Path) -> LicenseAndLanguages:
    """License and languages of the encoder that a run started from, by its run.json; unknown where it does not tell."""
    try:
        return _licensing(
            json.loads((run / contract.RUN_FACTS_FILE).read_text("utf-8"))["encoder"], languages="languages"
        )
    except (OSError, ValueError, LookupError, TypeError):
        return UNKNOWN


def _licensing(metadata: Any, languages: str = "language") -> LicenseAndLanguages:
    if not isinstance(metadata, Mapping):
        return UNKNOWN
    license_, codes = metadata.get("license"), metadata.get(languages)
    listed = codes if isinstance(codes, list) else [codes]
    return LicenseAndLanguages(
        license_ if isinstance(license_, str) else None, tuple(code for code in listed if isinstance(code, str))
    )
