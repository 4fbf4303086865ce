"""TensorFlow Hub's BERT encoders: those of the tutorial "Classify text with BERT", and the larger ones of its GLUE tutorial.

Addresses, versions and Kaggle's names are those of both tutorials and of public code. Newer versions of an encoder have the same
weights (they differ in how gradients are computed), so all versions of one model are one encoder here.
"""

import re
from dataclasses import dataclass

from bert_serving.encoders.download.hugging_face_hub import HuggingFaceSource
from bert_serving.encoders.download.sources import Source
from bert_serving.encoders.download.tf_hub import TFHubSource

TF_HUB = "https://tfhub.dev"


@dataclass(frozen=True, kw_only=True)
class Preprocessor:
    """A preprocessing model and its vocabulary."""

    tf_hub: str
    """publisher/model/version on TF Hub"""
    kaggle: str
    """handle of kagglehub"""
    vocab_size: int
    languages: tuple[str, ...] = ("English",)
    cased: bool = False


UNCASED = Preprocessor(
    tf_hub="tensorflow/bert_en_uncased_preprocess/3",
    kaggle="tensorflow/bert/tensorFlow2/en-uncased-preprocess/3",
    vocab_size=30522,
)
CASED = Preprocessor(
    tf_hub="tensorflow/bert_en_cased_preprocess/3",
    kaggle="tensorflow/bert/tensorFlow2/en-cased-preprocess/3",
    vocab_size=28996,
    cased=True,
)
MULTILINGUAL = Preprocessor(
    tf_hub="tensorflow/bert_multi_cased_preprocess/3",
    kaggle="tensorflow/bert/tensorFlow2/multi-cased-preprocess/3",
    vocab_size=119547,
    languages=("104 languages",),
    cased=True,
)
ALBERT = Preprocessor(
    tf_hub="tensorflow/albert_en_preprocess/3",
    kaggle="tensorflow/albert/tensorFlow2/en-preprocess/3",
    vocab_size=30000,
)


@dataclass(frozen=True, kw_only=True)
class TFHubModel:
    """An encoder on TF Hub; its size is that of BERT base unless it says otherwise.

    Attributes:
        name: its name in the tutorials.
        tf_hub: publisher/model/version.
        newest: last version with the same weights.
        kaggle: handle of kagglehub; None where Kaggle's name is not known.
        mirror: Hugging Face repository with the same weights; None where there is none, or where it is not certain.
        parameters: of the whole encoder; None for an architecture that this project cannot rebuild.
        preprocessor: the preprocessing that belongs to it.
    """

    name: str
    tf_hub: str
    newest: int
    kaggle: str | None = None
    mirror: str | None = None
    num_hidden_layers: int = 12
    hidden_size: int = 768
    num_attention_heads: int = 12
    parameters: int | None
    preprocessor: Preprocessor = UNCASED

    @property
    def sources(self) -> tuple[Source, ...]:
        """Sources, in the order in which they are tried."""
        tf_hub = TFHubSource(encoder=f"{TF_HUB}/{self.tf_hub}", preprocessing=f"{TF_HUB}/{self.preprocessor.tf_hub}")
        sources: list[Source] = [tf_hub]
        if self.kaggle is not None:
            sources.append(TFHubSource(encoder=self.kaggle, preprocessing=self.preprocessor.kaggle))
        if self.mirror is not None:
            sources.append(HuggingFaceSource(repository=self.mirror))
        return tuple(sources)

    @property
    def aliases(self) -> tuple[str, ...]:
        """Other names of the same weights, as `bert_serving.encoders.catalog.handles.canonical` writes them."""
        aliases = []
        for handle in (f"{TF_HUB}/{self.tf_hub}", self.kaggle):
            if handle is not None:
                model, _, first = handle.rpartition("/")
                aliases += [f"{model}/{version}" for version in range(int(first), self.newest + 1)]
        if self.mirror is not None:
            aliases += [self.mirror, f"hf://{self.mirror}"]
        return tuple(aliases)


_POSITIONS = 512
_TYPES = 2
_SMALL_HEADS = {128: 2, 256: 4, 512: 8, 768: 12}


def count_parameters(vocab_size: int, layers: int, width: int, *, embedding_size: int | None = None) -> int:
    """Parameters of a BERT with its pooler: embeddings, their normalization and projection, layers.

    >>> count_parameters(30522, 12, 768)
    109482240
    """
    embedding_size = embedding_size or width
    inner = 4 * width
    embeddings = (vocab_size + _POSITIONS + _TYPES + 2) * embedding_size
    projection = 0 if embedding_size == width else (embedding_size + 1) * width
    attention = 4 * (width + 1) * width
    dense = (width + 1) * inner + (inner + 1) * width
    return embeddings + projection + layers * (attention + dense + 4 * width) + (width + 1) * width


def _bert(name: str, mirror: str, preprocessor: Preprocessor = UNCASED) -> TFHubModel:
    """A model of the BERT paper, whose name has its size."""
    layers, width, heads = map(int, re.findall(r"\d+", name.partition("_L-")[2]))
    handle = name.removeprefix("bert_").replace("_", "-").lower()
    return TFHubModel(
        name=name,
        tf_hub=f"tensorflow/{name}/3",
        newest=4,
        kaggle=f"tensorflow/bert/tensorFlow2/{handle}/3",
        mirror=f"google-bert/{mirror}",
        num_hidden_layers=layers,
        hidden_size=width,
        num_attention_heads=heads,
        parameters=count_parameters(preprocessor.vocab_size, layers, width),
        preprocessor=preprocessor,
    )


def _small(layers: int, width: int) -> TFHubModel:
    size = f"L-{layers}_H-{width}_A-{_SMALL_HEADS[width]}"
    return TFHubModel(
        name=f"small_bert/bert_en_uncased_{size}",
        tf_hub=f"tensorflow/small_bert/bert_en_uncased_{size}/1",
        newest=2,
        # Not "en-uncased-l-12-h-768-a-12", which is BERT's own base model.
        kaggle=f"tensorflow/bert/tensorFlow2/bert-en-uncased-{size.lower().replace('_', '-')}/1",
        mirror=f"google/bert_uncased_{size}",
        num_hidden_layers=layers,
        hidden_size=width,
        num_attention_heads=_SMALL_HEADS[width],
        parameters=count_parameters(UNCASED.vocab_size, layers, width),
    )


def _albert(size: str, layers: int, width: int, heads: int) -> TFHubModel:
    # Which version of the Hugging Face Hub's models these are is not known for certain, so there is no mirror.
    return TFHubModel(
        name=f"albert_en_{size}",
        tf_hub=f"tensorflow/albert_en_{size}/2",
        newest=3,
        num_hidden_layers=layers,
        hidden_size=width,
        num_attention_heads=heads,
        # All layers share the weights of one.
        parameters=count_parameters(ALBERT.vocab_size, 1, width, embedding_size=128),
        preprocessor=ALBERT,
    )


def _electra(size: str, width: int, heads: int, embedding_size: int) -> TFHubModel:
    return TFHubModel(
        name=f"electra_{size}",
        tf_hub=f"google/electra_{size}/2",
        newest=2,
        mirror=f"google/electra-{size}-discriminator",
        hidden_size=width,
        num_attention_heads=heads,
        parameters=count_parameters(UNCASED.vocab_size, 12, width, embedding_size=embedding_size),
    )


def _expert(name: str) -> TFHubModel:
    return TFHubModel(
        name=f"experts_{name}",
        tf_hub=f"google/experts/bert/{name}/2",
        newest=2,
        kaggle=f"google/experts-bert/tensorFlow2/{name.replace('_', '-')}/2",
        parameters=count_parameters(UNCASED.vocab_size, 12, 768),
    )


def _talking_heads(size: str, layers: int, width: int, heads: int) -> TFHubModel:
    return TFHubModel(
        name=f"talking-heads_{size}",
        tf_hub=f"tensorflow/talkheads_ggelu_bert_en_{size}/1",
        newest=2,
        num_hidden_layers=layers,
        hidden_size=width,
        num_attention_heads=heads,
        parameters=None,
    )


TUTORIAL_MODELS = (
    _bert("bert_en_uncased_L-12_H-768_A-12", "bert-base-uncased"),
    _bert("bert_en_cased_L-12_H-768_A-12", "bert-base-cased", CASED),
    _bert("bert_multi_cased_L-12_H-768_A-12", "bert-base-multilingual-cased", MULTILINGUAL),
    *(_small(layers, width) for layers in (2, 4, 6, 8, 10, 12) for width in _SMALL_HEADS),
    _albert("base", 12, 768, 12),
    _electra("small", 256, 4, 128),
    _electra("base", 768, 12, 768),
    _expert("pubmed"),
    _expert("wiki_books"),
    _talking_heads("base", 12, 768, 12),
)
LARGER_MODELS = (
    _bert("bert_en_uncased_L-24_H-1024_A-16", "bert-large-uncased"),
    _bert("bert_en_wwm_uncased_L-24_H-1024_A-16", "bert-large-uncased-whole-word-masking"),
    _bert("bert_en_cased_L-24_H-1024_A-16", "bert-large-cased", CASED),
    _bert("bert_en_wwm_cased_L-24_H-1024_A-16", "bert-large-cased-whole-word-masking", CASED),
    _albert("large", 24, 1024, 16),
    _albert("xlarge", 24, 2048, 16),
    _albert("xxlarge", 12, 4096, 64),
    _talking_heads("large", 24, 1024, 16),
)
TF_HUB_MODELS = TUTORIAL_MODELS + LARGER_MODELS
