"""Handles that `encoder.name` takes: a name of the catalog, or an address of an encoder elsewhere.

all-MiniLM-L6-v2                                                        the catalog, or an alias of one of its encoders
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
from bert_serving.encoders.catalog.catalog import CATALOG, CatalogEntry, find_encoder, licensing_of_entry
from bert_serving.encoders.catalog.tf_hub_models import TF_HUB
from bert_serving.encoders.download.hugging_face_hub import HuggingFaceSource
from bert_serving.encoders.download.other_caches import kaggle_handle
from bert_serving.encoders.download.sources import Source
from bert_serving.encoders.download.tf_hub import TFHubSource
from bert_serving.encoders.license import UNKNOWN, LicenseAndLanguages
from bert_serving.errors import EncoderError

_PART = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
_HUGGING_FACE = re.compile(rf"hf://({_PART}/{_PART})(?:@([A-Za-z0-9_./-]+))?")
_SHA256 = re.compile(r"sha256=([0-9a-fA-F]{64})")
# A model of Kaggle without its version number, as its page shows it.
_KAGGLE_LATEST = re.compile(
    rf"(?:https?://(?:www\.)?kaggle\.com/models/)?{_PART}/{_PART}/(?:frameworks/)?tensorflow2/(?:variations/)?{_PART}/?",
    re.IGNORECASE,
)
_MAIN = "main"
CONVERSION = "v4"
"""version of what conversion writes; raised when that changes, so that cached encoders are converted again"""


@dataclass(frozen=True)
class Handle:
    """An encoder that can be fetched.

    Attributes:
        name: for messages.
        key: begins the name of its cache entry; the same for all names of one encoder.
        sources: tried in this order.
        licensing: license and languages, as far as they are known.
    """

    name: str
    key: str
    sources: tuple[Source, ...]
    licensing: LicenseAndLanguages = UNKNOWN


def canonical(text: str) -> str:
    """The canonical spelling of a handle: scheme, host, query and form of the address do not matter.

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
    """Resolves a name, an address or a handle.

    Args:
        text: `encoder.name`.
        preprocessing: address or handle of the preprocessing, for an encoder of TF Hub or Kaggle that is not in the catalog, or
            to replace the catalog's.

    Raises:
        EncoderError: the text is not a handle, lacks its version, or must not have a preprocessing.
    """
    for handle in filter(None, (text, preprocessing)):
        if _KAGGLE_LATEST.fullmatch(handle.strip()) is not None:
            raise EncoderError(
                f"{handle!r} names no version of the model; add one, such as {handle.strip().rstrip('/')}/1"
            )
    encoder = _Address.parse(text)
    other = _Address.parse(preprocessing) if preprocessing is not None else None
    if encoder.is_hugging_face and other is not None:
        raise EncoderError(
            f"{text!r} brings its own preprocessing; leave out encoder.preprocessing, which is {preprocessing!r}"
        )
    known = {alias.casefold() for entry in CATALOG.values() for alias in (entry.name, *entry.aliases)}
    if not is_address(encoder.canonical) or encoder.canonical.casefold() in known:
        return _catalog_handle(encoder, other)
    return _hugging_face(encoder.canonical) if encoder.is_hugging_face else _saved_model_handle(encoder, other)


def cache_key(handle: Handle) -> str:
    """Name of the encoder's folder in the cache."""
    return f"{handle.key}-{CONVERSION}"


def _hugging_face(text: str) -> Handle:
    match = _HUGGING_FACE.fullmatch(text)
    if match is None or ".." in text:
        raise EncoderError(
            f"{text!r} is not a Hugging Face repository; expected hf://owner/name or hf://owner/name@revision"
        )
    source = HuggingFaceSource(repository=match[1], revision=match[2] or _MAIN)
    return Handle(text, _key(text), (source,))


@dataclass(frozen=True)
class _Address:
    """The parts of a name, an address or a handle.

    Attributes:
        address: as the user wrote it, without the digest.
        canonical: its canonical spelling.
        sha256: digest of the archive, if there is one.
    """

    address: str
    canonical: str
    sha256: str | None

    @classmethod
    def parse(cls, text: str) -> "_Address":
        """Parses `ADDRESS` or `ADDRESS#sha256=DIGEST`; names and Hugging Face repositories have no digest.

        Raises:
            EncoderError: the text after # is not a digest.
        """
        text = text.strip()
        if not is_address(text) or text.startswith("hf://"):
            return cls(text, canonical(text), None)
        address, _, digest = text.partition("#")
        match = _SHA256.fullmatch(digest)
        if digest and match is None:
            raise EncoderError(f"{text!r}: after # expected sha256= with 64 hexadecimal digits, got {digest!r}")
        return cls(address, canonical(address), match[1].lower() if match else None)

    @property
    def is_hugging_face(self) -> bool:
        """Whether it is a repository of the Hugging Face Hub."""
        return self.canonical.startswith("hf://")

    @property
    def with_digest(self) -> str:
        """Spelling and digest: a download that was checked against another digest, or none, must not be reused."""
        return self.canonical if self.sha256 is None else f"{self.canonical}#sha256={self.sha256}"


def _catalog_handle(encoder: _Address, preprocessing: _Address | None) -> Handle:
    entry = find_encoder(encoder.canonical)
    if encoder.sha256 is None and (preprocessing is None or _has_preprocessing(entry, preprocessing)):
        return Handle(entry.name, _plain(entry.name), _sources(entry, encoder), licensing_of_entry(entry))
    # With a digest, or with another preprocessing, only this address can deliver it.
    own = _preprocessing_of(entry, encoder.canonical)
    return _saved_model_handle(encoder, preprocessing or (_Address.parse(own) if own else None))


def _tf_hub_sources(entry: CatalogEntry) -> list[TFHubSource]:
    return [source for source in entry.sources if isinstance(source, TFHubSource)]


def _preprocessing_of(entry: CatalogEntry, encoder: str) -> str | None:
    """The catalog's preprocessing for an address: TF Hub's for TF Hub's, Kaggle's for Kaggle's."""
    # Stable: where no source is of the same kind, the first one counts.
    sources = sorted(
        _tf_hub_sources(entry), key=lambda source: is_kaggle_handle(source.encoder) != is_kaggle_handle(encoder)
    )
    return sources[0].preprocessing if sources else None


def _has_preprocessing(entry: CatalogEntry, preprocessing: _Address) -> bool:
    """Whether the catalog has this preprocessing for an encoder."""
    known = {source.preprocessing for source in _tf_hub_sources(entry)}
    return preprocessing.with_digest in {canonical(address) for address in known if address is not None}


def _sources(entry: CatalogEntry, encoder: _Address) -> tuple[Source, ...]:
    """An entry's sources, the requested address first: TF Hub's cache may have the encoder under that address only."""
    known = [source.encoder for source in _tf_hub_sources(entry)]
    if not is_address(encoder.canonical) or encoder.is_hugging_face or encoder.canonical in known:
        return entry.sources
    preprocessing = _preprocessing_of(entry, encoder.canonical)
    return (TFHubSource(encoder=encoder.canonical, preprocessing=preprocessing), *entry.sources)


def _saved_model_handle(encoder: _Address, preprocessing: _Address | None) -> Handle:
    addresses = [encoder] if preprocessing is None else [encoder, preprocessing]
    for address in addresses:
        if "://" in address.canonical and not address.canonical.startswith(("http://", "https://")):
            raise EncoderError(
                f"{address.canonical!r} cannot be fetched; give an address that begins with https://, http:// or hf://"
            )
    rest: dict[str, str | None] = {"sha256": encoder.sha256}
    if preprocessing is not None:
        rest |= {"preprocessing": preprocessing.canonical, "preprocessing_sha256": preprocessing.sha256}
    sources = [TFHubSource(encoder=encoder.canonical, **rest)]
    if is_kaggle_handle(encoder.canonical) and "://" in encoder.address:
        # Kaggle's pages answer TF Hub's protocol; where they do not, Kaggle's API may.
        sources.insert(0, TFHubSource(encoder=encoder.address, **rest))
    key = _key(" ".join(address.with_digest for address in addresses))
    return Handle(encoder.canonical, key, tuple(sources))


def _key(handle: str) -> str:
    """A readable and unique name for the cache."""
    return f"{_plain(handle.rpartition('://')[2])[:80]}-{hashlib.sha256(handle.encode()).hexdigest()[:12]}"


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name)
