"""The pooling with which an encoder was trained: the default of `head.pooling`."""

from bert_serving.config import EncoderSource, RunConfig
from bert_serving.contract import Pooling
from bert_serving.encoders.catalog.catalog import find_encoder
from bert_serving.encoders.catalog.handles import canonical
from bert_serving.encoders.conversion.sentence_transformers import pooling_of
from bert_serving.errors import EncoderError


def default_pooling(encoder: EncoderSource) -> Pooling:
    """The catalog's pooling for a name, that of a sentence-transformers folder for a path, else the encoder's pooler.

    Raises:
        EncoderError: a sentence-transformers folder has a pooling that cannot be trained on.
    """
    if encoder.path is not None:
        return pooling_of(encoder.path) or Pooling.POOLER
    try:
        return find_encoder(canonical(str(encoder.name))).pooling
    except EncoderError:
        return Pooling.POOLER  # an address that the catalog does not have


def with_pooling(config: RunConfig) -> RunConfig:
    """A run file with the pooling that holds where it sets none."""
    if config.head.pooling is not None:
        return config
    head = config.head.model_copy(update={"pooling": default_pooling(config.encoder)})
    return config.model_copy(update={"head": head})
