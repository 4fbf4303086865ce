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
from bert_serving.encoders.catalog.catalog import CATALOG, CatalogEntry, find_encoder, terms_of
from bert_serving.encoders.catalog.tf_hub_models import TF_HUB
from bert_serving.encoders.download.hugging_face_hub import HuggingFaceSource
from bert_serving.encoders.download.other_caches import kaggle_handle
from bert_serving.encoders.download.sources import HubSource, Source
from bert_serving.encoders.license import UNKNOWN, Terms
from bert_serving.errors import EncoderError

_PART = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
_HUGGING_FACE = re.compile(rf"hf://({_PART}/{_PART})(?:@([A-Za-z0-9_./-]+))?")
_SHA256 = re.compile(r"sha256=([0-9a-fA-F]{64})")
# A model of Kaggle without the number at its end, as its page shows it.
_KAGGLE_LATEST = re.compile(
    rf"(?:https?://(?:www\.)?kaggle\.com/models/)?{_PART}/{_PART}/(?:frameworks/)?tensorflow2/(?:variations/)?{_PART}/?",
    re.IGNORECASE,
)
_MAIN = "main"
CONVERSION = "v2"
"""raised when conversion writes something else than before, so that cached encoders are converted again"""


@dataclass(frozen=True)
class Handle:
    """An encoder that can be fetched.

    Attributes:
        name: what people call it.
        key: names it in the cache; the same for all names of one encoder.
        sources: where it comes from, tried in this order.
        terms: its license and languages, as far as they are known.
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
        preprocessing: address or handle of the preprocessing, for an encoder of TF Hub or Kaggle that the catalog does not have, or
            that is to have another one than there.

    Raises:
        EncoderError: it is none of these, lacks its version, or has a preprocessing without a use for one.
    """
    for each in filter(None, (text, preprocessing)):
        if _KAGGLE_LATEST.fullmatch(each.strip()) is not None:
            raise EncoderError(f"{each!r} names no version of the model; add one, such as {each.strip().rstrip('/')}/1")
    asked = _Asked.of(text)
    other = _Asked.of(preprocessing) if preprocessing is not None else None
    if asked.is_of_hugging_face and other is not None:
        raise EncoderError(
            f"{text!r} brings its own preprocessing; leave out encoder.preprocessing, which is {preprocessing!r}"
        )
    known = {alias.casefold() for entry in CATALOG.values() for alias in (entry.name, *entry.aliases)}
    if not is_address(asked.spelled) or asked.spelled.casefold() in known:
        return _of_catalog(asked, other)
    return _hugging_face(asked.spelled) if asked.is_of_hugging_face else _hub(asked, other)


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


@dataclass(frozen=True)
class _Asked:
    """An address or a handle as it was given, taken apart.

    Attributes:
        address: without its digest.
        spelled: the one spelling among its many.
        sha256: digest of the archive, where it was given.
    """

    address: str
    spelled: str
    sha256: str | None

    @classmethod
    def of(cls, text: str) -> "_Asked":
        """Takes `ADDRESS` or `ADDRESS#sha256=DIGEST` apart; names and repositories of Hugging Face have no digest.

        Raises:
            EncoderError: what follows the # is no digest.
        """
        text = text.strip()
        if not is_address(text) or text.startswith("hf://"):
            return cls(text, canonical(text), None)
        address, _, digest = text.partition("#")
        found = _SHA256.fullmatch(digest)
        if digest and found is None:
            raise EncoderError(f"{text!r}: after # expected sha256= with 64 hexadecimal digits, got {digest!r}")
        return cls(address, canonical(address), found[1].lower() if found else None)

    @property
    def is_of_hugging_face(self) -> bool:
        """Whether it names a repository of the Hugging Face Hub."""
        return self.spelled.startswith("hf://")

    @property
    def whole(self) -> str:
        """Spelling and digest: what was fetched without this digest, or with another, is not the same."""
        return self.spelled if self.sha256 is None else f"{self.spelled}#sha256={self.sha256}"


def _of_catalog(asked: _Asked, preprocessing: _Asked | None) -> Handle:
    entry = find_encoder(asked.spelled)
    if asked.sha256 is None and (preprocessing is None or _is_theirs(entry, preprocessing)):
        return Handle(entry.name, _plain(entry.name), _with_spelling(entry, asked), terms_of(entry))
    # With a digest, or with another preprocessing, the address means itself alone.
    theirs = _preprocessing_of(entry, asked.spelled)
    return _hub(asked, preprocessing or (_Asked.of(theirs) if theirs else None))


def _preprocessing_of(entry: CatalogEntry, spelled: str) -> str | None:
    """The catalog's preprocessing for an address: TF Hub's for TF Hub's, Kaggle's for Kaggle's."""
    found = [source for source in entry.sources if isinstance(source, HubSource)]
    # Stable: where no source is of the same kind, the first one counts.
    found.sort(key=lambda source: is_kaggle_handle(source.encoder) != is_kaggle_handle(spelled))
    return found[0].preprocessing if found else None


def _is_theirs(entry: CatalogEntry, preprocessing: _Asked) -> bool:
    """Whether the catalog gives an encoder this very preprocessing."""
    theirs = {source.preprocessing for source in entry.sources if isinstance(source, HubSource)}
    return preprocessing.whole in {canonical(each) for each in theirs if each is not None}


def _with_spelling(entry: CatalogEntry, asked: _Asked) -> tuple[Source, ...]:
    """An entry's sources, and before them the address that was asked for: TF Hub's cache may hold it under that one alone."""
    known = [source.encoder for source in entry.sources if isinstance(source, HubSource)]
    if not is_address(asked.spelled) or asked.is_of_hugging_face or asked.spelled in known:
        return entry.sources
    return (HubSource(encoder=asked.spelled, preprocessing=_preprocessing_of(entry, asked.spelled)), *entry.sources)


def _hub(asked: _Asked, preprocessing: _Asked | None) -> Handle:
    for each in (asked, preprocessing):
        if each and "://" in each.spelled and not each.spelled.startswith(("http://", "https://")):
            raise EncoderError(
                f"{each.spelled!r} cannot be fetched; give an address that begins with https://, http:// or hf://"
            )
    rest: dict[str, str | None] = {"sha256": asked.sha256}
    if preprocessing is not None:
        rest |= {"preprocessing": preprocessing.spelled, "preprocessing_sha256": preprocessing.sha256}
    sources = [HubSource(encoder=asked.spelled, **rest)]
    if is_kaggle_handle(asked.spelled) and "://" in asked.address:
        # Kaggle's pages answer TF Hub's protocol; where they do not, its interface for programs may.
        sources.insert(0, HubSource(encoder=asked.address, **rest))
    parts = [each.whole for each in (asked, preprocessing) if each is not None]
    return Handle(asked.spelled, _key(" ".join(parts)), tuple(sources))


def _key(spelled: str) -> str:
    """A name in the cache that a reader recognizes and that no other handle has."""
    return f"{_plain(spelled.rpartition('://')[2])[:80]}-{hashlib.sha256(spelled.encode()).hexdigest()[:12]}"


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name)
