"""What `encoder.name` may be: a name of the catalog, or where else an encoder is to be had.

all-MiniLM-L6-v2                                                        the catalog, or an other name of one of its encoders
https://tfhub.dev/tensorflow/bert_en_uncased_L-12_H-768_A-12/4          TF Hub
https://www.kaggle.com/models/google/electra/tensorFlow2/small/1        Kaggle
google/experts-bert/tensorFlow2/pubmed/2                                kagglehub
https://models.example/encoder.tar.gz#sha256=...                        an archive, with its digest where it is known
hf://owner/name@revision                                                Hugging Face
"""

import hashlib
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from bert_serving.config import is_address, is_kaggle_handle
from bert_serving.encoders.catalog import CATALOG, find_encoder, terms_of
from bert_serving.encoders.foreign_caches import kaggle_handle
from bert_serving.encoders.hub_models import TF_HUB
from bert_serving.encoders.sources import HubSource, HuggingFaceSource, Source
from bert_serving.encoders.terms import UNKNOWN, Terms
from bert_serving.errors import EncoderError

_PART = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
_HUGGING_FACE = re.compile(rf"hf://({_PART}/{_PART})(?:@([A-Za-z0-9_./-]+))?")
_SHA256 = re.compile(r"sha256=([0-9a-fA-F]{64})")
_MAIN = "main"
CONVERSION = "v1"
"""raised when conversion writes something else than before, so that cached encoders are converted again"""


@dataclass(frozen=True)
class Handle:
    """An encoder that can be fetched.

    Attributes:
        name: what people call it.
        key: names it in the cache; the same for all names of one encoder.
        sources: where it comes from, tried in this order.
        terms: its licence and languages, as far as they are known.
    """

    name: str
    key: str
    sources: tuple[Source, ...]
    terms: Terms = UNKNOWN


def canonical(text: str) -> str:
    """The one spelling of a handle among its many: scheme, host, query and order of words do not matter.

    >>> canonical("http://www.tfhub.dev/google/electra_small/2?tf-hub-format=compressed")
    'https://tfhub.dev/google/electra_small/2'
    >>> canonical("https://kaggle.com/models/tensorflow/bert/frameworks/TensorFlow2/variations/en-uncased-preprocess/versions/3")
    'tensorflow/bert/tensorFlow2/en-uncased-preprocess/3'
    """
    text = text.strip()
    if text.endswith(f"@{_MAIN}") and text.startswith("hf://"):
        return text.removesuffix(f"@{_MAIN}")
    if (kaggle := kaggle_handle(text)) is not None:
        return kaggle
    if is_kaggle_handle(text):
        return re.sub("/tensorflow2/", "/tensorFlow2/", text, flags=re.IGNORECASE)
    address = urlsplit(text)
    if address.scheme in ("http", "https") and (address.hostname or "").removeprefix("www.") == "tfhub.dev":
        return f"{TF_HUB}{address.path.rstrip('/')}"
    return text


def find_handle(text: str, preprocessing: str | None = None) -> Handle:
    """What is meant by a name, an address or a handle.

    Args:
        text: `encoder.name`.
        preprocessing: address or handle of the preprocessing, for an encoder of TF Hub or Kaggle that the catalog does not have.

    Raises:
        EncoderError: it is none of these, or it needs a preprocessing.
    """
    spelled = canonical(text)
    known = {alias.casefold() for entry in CATALOG.values() for alias in (entry.name, *entry.aliases)}
    if not is_address(spelled) or spelled.casefold() in known:
        entry = find_encoder(spelled)
        return Handle(entry.name, _plain(entry.name), entry.sources, terms_of(entry))
    if spelled.startswith("hf://"):
        return _hugging_face(spelled)
    return _hub(text.strip(), spelled, preprocessing)


def cache_key(handle: Handle) -> str:
    """Name of the encoder's folder in the cache."""
    return f"{handle.key}-{CONVERSION}"


def _hugging_face(spelled: str) -> Handle:
    found = _HUGGING_FACE.fullmatch(spelled)
    if found is None or ".." in spelled:
        raise EncoderError(
            f"{spelled!r} is no repository of Hugging Face; expected hf://owner/name or hf://owner/name@revision"
        )
    repository, revision = found[1], found[2] or _MAIN
    source = HuggingFaceSource(repository=repository, revision=revision)
    return Handle(spelled, _key(spelled), (source,))


def _hub(text: str, spelled: str, preprocessing: str | None) -> Handle:
    if "://" in spelled and not spelled.startswith(("http://", "https://")):
        raise EncoderError(
            f"{spelled!r} cannot be fetched; give an address that begins with https://, http:// or hf://"
        )
    address, _, digest = text.partition("#")
    found = _SHA256.fullmatch(digest)
    if digest and found is None:
        raise EncoderError(f"{text!r}: after # expected sha256= with 64 hexadecimal digits, got {digest!r}")
    sha256 = found[1].lower() if found else None
    spelled = spelled.partition("#")[0]
    other = canonical(preprocessing) if preprocessing else None
    sources = [HubSource(encoder=spelled, preprocessing=other, sha256=sha256)]
    if is_kaggle_handle(spelled) and "://" in address:
        # Kaggle's pages answer TF Hub's protocol; where they do not, its interface for programs may.
        sources.insert(0, HubSource(encoder=address, preprocessing=other, sha256=sha256))
    return Handle(spelled, _key(f"{spelled} {other}" if other else spelled), tuple(sources))


def _key(spelled: str) -> str:
    """A name in the cache that a reader recognises and that no other handle has."""
    return f"{_plain(spelled.rpartition('://')[2])[:80]}-{hashlib.sha256(spelled.encode()).hexdigest()[:12]}"


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name)
