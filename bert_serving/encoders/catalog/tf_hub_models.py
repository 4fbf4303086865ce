"""TensorFlow Hub's BERT encoders: those of the tutorial "Classify text with BERT", and the larger ones of its GLUE tutorial.

Addresses, versions and Kaggle's names as both tutorials and public code have them. Newer versions of an encoder hold the same weights
(they differ in how gradients may be taken), so all versions of one model are one encoder here.
"""

from dataclasses import dataclass

from bert_serving.encoders.download.hugging_face_hub import HuggingFaceSource
from bert_serving.encoders.download.sources import HubSource, Source

TF_HUB = "https://tfhub.dev"


@dataclass(frozen=True, kw_only=True)
class Preprocessor:
    """A preprocessing model and the vocabulary that it carries."""

    hub: str
    """publisher/model/version on TF Hub"""
    kaggle: str
    """kagglehub's handle"""
    vocab_size: int
    languages: tuple[str, ...] = ("English",)
    cased: bool = False


@dataclass(frozen=True, kw_only=True)
class HubModel:
    """An encoder on TF Hub.

    Attributes:
        name: what the tutorials call it.
        hub: publisher/model/version.
        newest: last version with the same weights.
        kaggle: kagglehub's handle; None where Kaggle's name is not known.
        mirror: repository of the Hugging Face Hub with the same weights; None where there is none, or where it is not certain.
        layers, width, heads: its size.
        parameters: of the encoder, in all; None where its arithmetic is not that of the families that this project rebuilds.
        preprocessor: which belongs to it.
    """

    name: str
    hub: str
    newest: int
    kaggle: str | None
    mirror: str | None
    num_hidden_layers: int
    hidden_size: int
    num_attention_heads: int
    parameters: int | None
    preprocessor: Preprocessor

    @property
    def sources(self) -> tuple[Source, ...]:
        """Where it comes from, in the order in which that is tried."""
        hub = HubSource(encoder=f"{TF_HUB}/{self.hub}", preprocessing=f"{TF_HUB}/{self.preprocessor.hub}")
        sources: list[Source] = [hub]
        if self.kaggle is not None:
            sources.append(HubSource(encoder=self.kaggle, preprocessing=self.preprocessor.kaggle))
        if self.mirror is not None:
            sources.append(HuggingFaceSource(repository=self.mirror))
        return tuple(sources)

    @property
    def aliases(self) -> tuple[str, ...]:
        """Other names of the same weights, as `bert_serving.encoders.catalog.handles.canonical` writes them."""
        model, _, version = self.hub.rpartition("/")
        names = [f"{TF_HUB}/{model}/{each}" for each in range(int(version), self.newest + 1)]
        if self.kaggle is not None:
            variation, _, version = self.kaggle.rpartition("/")
            names += [f"{variation}/{each}" for each in range(int(version), self.newest + 1)]
        if self.mirror is not None:
            names += [self.mirror, f"hf://{self.mirror}"]
        return tuple(names)


UNCASED = Preprocessor(
    hub="tensorflow/bert_en_uncased_preprocess/3",
    kaggle="tensorflow/bert/tensorFlow2/en-uncased-preprocess/3",
    vocab_size=30522,
)
CASED = Preprocessor(
    hub="tensorflow/bert_en_cased_preprocess/3",
    kaggle="tensorflow/bert/tensorFlow2/en-cased-preprocess/3",
    vocab_size=28996,
    cased=True,
)
MULTILINGUAL = Preprocessor(
    hub="tensorflow/bert_multi_cased_preprocess/3",
    kaggle="tensorflow/bert/tensorFlow2/multi-cased-preprocess/3",
    vocab_size=119547,
    languages=("104 languages",),
    cased=True,
)
ALBERT = Preprocessor(
    hub="tensorflow/albert_en_preprocess/3",
    kaggle="tensorflow/albert/tensorFlow2/en-preprocess/3",
    vocab_size=30000,
)

_POSITIONS = 512
_TYPES = 2
_SMALL_HEADS = {128: 2, 256: 4, 512: 8, 768: 12}


def count_parameters(
    vocab_size: int, layers: int, width: int, *, embedding_width: int | None = None, inner: int | None = None
) -> int:
    """Variables of a BERT with its pooler: embeddings, their normalization and projection, layers.

    >>> count_parameters(30522, 12, 768)
    109482240
    """
    embedding = embedding_width or width
    inner = inner or 4 * width
    embeddings = (vocab_size + _POSITIONS + _TYPES + 2) * embedding
    projection = 0 if embedding == width else (embedding + 1) * width
    attention = 4 * (width + 1) * width
    dense = (width + 1) * inner + (inner + 1) * width
    return embeddings + projection + layers * (attention + dense + 4 * width) + (width + 1) * width


def _bert(
    name: str, kaggle: str, preprocessor: Preprocessor, mirror: str, layers: int, width: int, heads: int
) -> HubModel:
    return HubModel(
        name=name,
        hub=f"tensorflow/{name}/3",
        newest=4,
        kaggle=f"tensorflow/bert/tensorFlow2/{kaggle}/3",
        mirror=mirror,
        num_hidden_layers=layers,
        hidden_size=width,
        num_attention_heads=heads,
        parameters=count_parameters(preprocessor.vocab_size, layers, width),
        preprocessor=preprocessor,
    )


def _small(layers: int, width: int) -> HubModel:
    heads = _SMALL_HEADS[width]
    size = f"L-{layers}_H-{width}_A-{heads}"
    return HubModel(
        name=f"small_bert/bert_en_uncased_{size}",
        hub=f"tensorflow/small_bert/bert_en_uncased_{size}/1",
        newest=2,
        # Not "en-uncased-l-12-h-768-a-12", which is BERT's own base model.
        kaggle=f"tensorflow/bert/tensorFlow2/bert-en-uncased-{size.lower().replace('_', '-')}/1",
        mirror=f"google/bert_uncased_{size}",
        num_hidden_layers=layers,
        hidden_size=width,
        num_attention_heads=heads,
        parameters=count_parameters(UNCASED.vocab_size, layers, width),
        preprocessor=UNCASED,
    )


def _albert(size: str, layers: int, width: int, heads: int, inner: int | None = None) -> HubModel:
    # One layer's weights serve all; which version of the Hugging Face Hub's models these are is not known for certain.
    parameters = count_parameters(ALBERT.vocab_size, 1, width, embedding_width=128, inner=inner)
    return HubModel(
        name=f"albert_en_{size}",
        hub=f"tensorflow/albert_en_{size}/2",
        newest=3,
        kaggle=None,
        mirror=None,
        num_hidden_layers=layers,
        hidden_size=width,
        num_attention_heads=heads,
        parameters=parameters,
        preprocessor=ALBERT,
    )


def _electra(size: str, width: int, heads: int, embedding_width: int) -> HubModel:
    return HubModel(
        name=f"electra_{size}",
        hub=f"google/electra_{size}/2",
        newest=2,
        kaggle=None,
        mirror=f"google/electra-{size}-discriminator",
        num_hidden_layers=12,
        hidden_size=width,
        num_attention_heads=heads,
        parameters=count_parameters(UNCASED.vocab_size, 12, width, embedding_width=embedding_width),
        preprocessor=UNCASED,
    )


def _expert(name: str, kaggle: str) -> HubModel:
    return HubModel(
        name=f"experts_{name}",
        hub=f"google/experts/bert/{name}/2",
        newest=2,
        kaggle=f"google/experts-bert/tensorFlow2/{kaggle}/2",
        mirror=None,
        num_hidden_layers=12,
        hidden_size=768,
        num_attention_heads=12,
        parameters=count_parameters(UNCASED.vocab_size, 12, 768),
        preprocessor=UNCASED,
    )


def _talking_heads(size: str, layers: int, width: int, heads: int) -> HubModel:
    return HubModel(
        name=f"talking-heads_{size}",
        hub=f"tensorflow/talkheads_ggelu_bert_en_{size}/1",
        newest=2,
        kaggle=None,
        mirror=None,
        num_hidden_layers=layers,
        hidden_size=width,
        num_attention_heads=heads,
        parameters=None,
        preprocessor=UNCASED,
    )


TUTORIAL_MODELS = (
    _bert(
        "bert_en_uncased_L-12_H-768_A-12",
        "en-uncased-l-12-h-768-a-12",
        UNCASED,
        "google-bert/bert-base-uncased",
        12,
        768,
        12,
    ),
    _bert(
        "bert_en_cased_L-12_H-768_A-12", "en-cased-l-12-h-768-a-12", CASED, "google-bert/bert-base-cased", 12, 768, 12
    ),
    _bert(
        "bert_multi_cased_L-12_H-768_A-12",
        "multi-cased-l-12-h-768-a-12",
        MULTILINGUAL,
        "google-bert/bert-base-multilingual-cased",
        12,
        768,
        12,
    ),
    *(_small(layers, width) for layers in (2, 4, 6, 8, 10, 12) for width in _SMALL_HEADS),
    _albert("base", 12, 768, 12),
    _electra("small", 256, 4, 128),
    _electra("base", 768, 12, 768),
    _expert("pubmed", "pubmed"),
    _expert("wiki_books", "wiki-books"),
    _talking_heads("base", 12, 768, 12),
)
LARGER_MODELS = (
    _bert(
        "bert_en_uncased_L-24_H-1024_A-16",
        "en-uncased-l-24-h-1024-a-16",
        UNCASED,
        "google-bert/bert-large-uncased",
        24,
        1024,
        16,
    ),
    _bert(
        "bert_en_wwm_uncased_L-24_H-1024_A-16",
        "en-wwm-uncased-l-24-h-1024-a-16",
        UNCASED,
        "google-bert/bert-large-uncased-whole-word-masking",
        24,
        1024,
        16,
    ),
    _bert(
        "bert_en_cased_L-24_H-1024_A-16",
        "en-cased-l-24-h-1024-a-16",
        CASED,
        "google-bert/bert-large-cased",
        24,
        1024,
        16,
    ),
    _bert(
        "bert_en_wwm_cased_L-24_H-1024_A-16",
        "en-wwm-cased-l-24-h-1024-a-16",
        CASED,
        "google-bert/bert-large-cased-whole-word-masking",
        24,
        1024,
        16,
    ),
    _albert("large", 24, 1024, 16),
    _albert("xlarge", 24, 2048, 16),
    _albert("xxlarge", 12, 4096, 64),
    _talking_heads("large", 24, 1024, 16),
)
HUB_MODELS = TUTORIAL_MODELS + LARGER_MODELS
