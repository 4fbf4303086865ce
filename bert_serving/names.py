"""Names that other systems must accept: of models, versions, buckets, Kubernetes objects."""

import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

HIGHEST_VERSION = 2**63 - 1
"""TensorFlow Serving keeps version numbers in an int64"""

_PROPOSAL = "my-model"
_VERSION = re.compile(r"[ \t\n\v\f\r]*([+-]?)0*([0-9]{1,19})[ \t\n\v\f\r]*")


def version_number(name: str) -> int | None:
    """The version that a name stands for; None if it is not a version number.

    This is how TensorFlow Serving reads the names of folders: an int64 in decimal digits, with leading zeros, a sign and
    blanks around it allowed. It has no use for a negative version; here such a name is none.

    Example:
        >>> version_number("00000123"), version_number("-1"), version_number("1.0")
        (123, None, None)
    """
    match = _VERSION.fullmatch(name)
    if match is None:
        return None
    number = int(match[1] + match[2])
    return number if 0 <= number <= HIGHEST_VERSION else None


@dataclass(frozen=True)
class NameRule:
    """What a system accepts as a name.

    Attributes:
        what: what is named, with an article.
        pattern: matches whole names, apart from their length.
        rule: the pattern in words.
        longest: largest number of characters.
        shortest: smallest number of characters.
        others: characters besides a-z, 0-9 and the dash that a name may have inside.
    """

    what: str
    pattern: str
    rule: str
    longest: int
    shortest: int = 1
    others: str = ""

    def problem(self, name: str, *, longest: int | None = None) -> str | None:
        """Why a name is not accepted, and one that would be; None for a name that is.

        Args:
            name: the name.
            longest: largest number of characters here, if that is less than the rule's.
        """
        longest = self.longest if longest is None else min(longest, self.longest)
        if self._accepts(name, longest):
            return None
        shown = repr(name if len(name) <= 100 else f"{name[:100]}...")
        size = f", {len(name)} characters," if len(name) > longest else ""
        limits = f"{self.shortest} to {longest}" if self.shortest > 1 else f"at most {longest}"
        spelling = self.spelling(name)[:longest].rstrip("-._")
        proposal = spelling if self._accepts(spelling, longest) else _PROPOSAL[:longest]
        return f"{shown}{size} cannot name {self.what}: {self.rule}, {limits} characters; {proposal!r} would do"

    def spelling(self, name: str) -> str:
        """The name with characters that the rule lacks replaced by dashes; not shortened."""
        # casefold knows that "ß" is "ss"; the decomposition separates letters from their accents.
        ascii_only = unicodedata.normalize("NFKD", name.casefold()).encode("ascii", "ignore").decode()
        plain = re.sub(rf"[^a-z0-9{re.escape(self.others)}]+", "-", ascii_only)
        plain = re.sub(r"\.[.-]+|-+\.[.-]*", ".", plain).strip("-._")
        return plain if not plain or re.match(self.pattern, plain) else f"m-{plain}"

    def _accepts(self, name: str, longest: int) -> bool:
        return self.shortest <= len(name) <= longest and re.fullmatch(self.pattern, name) is not None


# A model's name is a folder, an object's key, an entry of models.config and one part of a URL.
MODEL = NameRule(
    "a model",
    r"[A-Za-z0-9][A-Za-z0-9_.-]*",
    "letters (a-z), digits, dots, dashes and underscores, a letter or digit first",
    longest=200,
    others="_.",
)
NAMESPACE = NameRule(
    "a Kubernetes namespace",
    r"[a-z0-9]([-a-z0-9]*[a-z0-9])?",
    "lower-case letters (a-z), digits and dashes, a letter or digit first and last",
    longest=63,
)
INFERENCE_SERVICE = NameRule(
    "a KServe InferenceService",
    r"[a-z]([-a-z0-9]*[a-z0-9])?",
    "lower-case letters (a-z), digits and dashes, a letter first, a letter or digit last",
    longest=63,
)
_NO_ADDRESS = r"(?![0-9]+(\.[0-9]+){3}$)(?!.*\.\.)"
S3_BUCKET = NameRule(
    "an S3 bucket",
    rf"{_NO_ADDRESS}(?!xn--|sthree-|amzn-s3-demo-)[a-z0-9][a-z0-9.-]*[a-z0-9]",
    "lower-case letters (a-z), digits, dots and dashes, a letter or digit first and last, no IP address",
    longest=63,
    shortest=3,
    others=".",
)
GCS_BUCKET = NameRule(
    "a Google Cloud Storage bucket",
    rf"{_NO_ADDRESS}(?!goog)(?!.*google)[a-z0-9][a-z0-9._-]*[a-z0-9]",
    "lower-case letters (a-z), digits, dots, dashes and underscores, a letter or digit first and last, no IP address, "
    "without 'google'",
    longest=63,
    shortest=3,
    others="._",
)
AZURE_CONTAINER = NameRule(
    "an Azure container",
    r"[a-z0-9](-?[a-z0-9])*",
    "lower-case letters (a-z), digits and single dashes, a letter or digit first and last",
    longest=63,
    shortest=3,
)


def model_name(source: str) -> str:
    """A model name derived from a path, without the ending of a Keras file, or from hf://owner/name."""
    name = source.split("@")[0].rpartition("/")[2] if source.startswith("hf://") else Path(source).resolve().name
    name = re.sub(r"\.(keras|h5|hdf5)$", "", name)
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name).lstrip("-._") or "classifier"
