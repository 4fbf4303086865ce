"""Sentence encoders of the Hugging Face Hub whose arithmetic is BERT's, with the pooling and the prefix that their authors use.

Pooling, prefix, sizes and licenses are those of the models' own pages and configurations.
"""

from dataclasses import dataclass

from bert_serving.contract import Pooling

_MIT, _APACHE = "MIT", "Apache-2.0"
_QUERY = "query: "


@dataclass(frozen=True, kw_only=True)
class SentenceEncoder:
    """An encoder trained for sentence embeddings.

    Attributes:
        repository: owner/name on Hugging Face; the name is that of the catalog, too.
        size: its layers and the width of a token's vector.
        license: SPDX identifier.
        pooling: with which it was trained.
        prefix: text that its authors put before every text that becomes a feature of a classifier.
        vocab_size: of its embedding table.
        languages: that it was trained on.
        types: token types that it has embeddings for.
    """

    repository: str
    size: tuple[int, int]
    license: str
    pooling: Pooling
    prefix: str = ""
    vocab_size: int = 30522
    languages: tuple[str, ...] = ("English",)
    cased: bool = False
    types: int = 2

    @property
    def name(self) -> str:
        """The repository without its owner."""
        return self.repository.partition("/")[2]


_SMALL, _BASE, _LARGE = (12, 384), (12, 768), (24, 1024)
_SIZES = {"small": _SMALL, "base": _BASE, "large": _LARGE}


def _of_sizes(pattern: str, license_: str, pooling: Pooling, prefix: str = "") -> tuple[SentenceEncoder, ...]:
    return tuple(
        SentenceEncoder(repository=pattern.format(name), size=size, license=license_, pooling=pooling, prefix=prefix)
        for name, size in _SIZES.items()
    )


def _multilingual_e5(name: str, vocab_size: int, types: int) -> SentenceEncoder:
    return SentenceEncoder(
        repository=f"intfloat/multilingual-e5-{name}",
        size=_SIZES[name],
        license=_MIT,
        pooling=Pooling.MEAN,
        prefix=_QUERY,
        vocab_size=vocab_size,
        languages=("94 languages",),
        cased=True,
        types=types,
    )


def _chinese_bge(name: str, size: tuple[int, int]) -> SentenceEncoder:
    return SentenceEncoder(
        repository=f"BAAI/bge-{name}-zh-v1.5",
        size=size,
        license=_MIT,
        pooling=Pooling.CLS,
        vocab_size=21128,
        languages=("Chinese",),
    )


def _arctic(name: str, size: tuple[int, int]) -> SentenceEncoder:
    return SentenceEncoder(
        repository=f"Snowflake/snowflake-arctic-embed-{name}", size=size, license=_APACHE, pooling=Pooling.CLS
    )


SENTENCE_ENCODERS = (
    SentenceEncoder(
        repository="sentence-transformers/all-MiniLM-L12-v2", size=_SMALL, license=_APACHE, pooling=Pooling.MEAN
    ),
    SentenceEncoder(
        repository="sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2",
        size=_SMALL,
        license=_APACHE,
        pooling=Pooling.MEAN,
        vocab_size=250037,
        languages=("50 languages",),
        cased=True,
    ),
    *_of_sizes("intfloat/e5-{}", _MIT, Pooling.MEAN, _QUERY),
    *_of_sizes("intfloat/e5-{}-v2", _MIT, Pooling.MEAN, _QUERY),
    _multilingual_e5("small", 250037, 2),
    _multilingual_e5("base", 250002, 1),
    _multilingual_e5("large", 250002, 1),
    *_of_sizes("BAAI/bge-{}-en-v1.5", _MIT, Pooling.CLS),
    _chinese_bge("small", (4, 512)),
    _chinese_bge("base", _BASE),
    _chinese_bge("large", _LARGE),
    *_of_sizes("thenlper/gte-{}", _MIT, Pooling.MEAN),
    _arctic("xs", (6, 384)),
    _arctic("s", _SMALL),
    _arctic("m", _BASE),
    _arctic("l", _LARGE),
)
