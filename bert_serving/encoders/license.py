"""License and languages of a model, as the metadata of its README tells them.

The format is the YAML between two lines of dashes at the start of a README.md: https://huggingface.co/docs/hub/model-cards
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
class Terms:
    """What may be said of a model before it is used.

    Attributes:
        license: an SPDX identifier or a name that model hubs know; None when unknown.
        languages: ISO 639 codes; empty when unknown.
    """

    license: str | None = None
    languages: tuple[str, ...] = ()


UNKNOWN = Terms()


def readme_terms(folder: Path) -> Terms:
    """Terms of a model by the README.md in its folder; unknown where there is none or it tells nothing."""
    try:
        metadata = _METADATA.match((folder / "README.md").read_text("utf-8"))
        return _terms(yaml.safe_load(metadata[1])) if metadata else UNKNOWN
    except (OSError, ValueError, yaml.YAMLError):
        return UNKNOWN


def run_terms(run: Path) -> Terms:
    """Terms of the encoder that a run started from; unknown where its run.json tells nothing."""
    try:
        return _terms(json.loads((run / contract.RUN_FACTS_FILE).read_text("utf-8"))["encoder"], languages="languages")
    except (OSError, ValueError, LookupError, TypeError):
        return UNKNOWN


def _terms(found: Any, languages: str = "language") -> Terms:
    if not isinstance(found, Mapping):
        return UNKNOWN
    license_, spoken = found.get("license"), found.get(languages)
    codes = [spoken] if isinstance(spoken, str) else spoken if isinstance(spoken, list) else []
    return Terms(
        license_ if isinstance(license_, str) else None, tuple(code for code in codes if isinstance(code, str))
    )
