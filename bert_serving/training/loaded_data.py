"""The rows of a run file, read and tokenized once for several runs of one process."""

from typing import Any

import numpy as np

from bert_serving.classifier import Classifier
from bert_serving.config import RunConfig
from bert_serving.data.batches import TokenRows
from bert_serving.data.splits import Splits, load_splits

Tokenized = dict[str, tuple[TokenRows, np.ndarray]]
# Of `[encoder]`: they change no token.
_NOT_OF_TOKENS = {"trainable", "frozen_layers", "cache_tokens", "cache_features", "trusted"}


class LoadedData:
    """Keeps the rows of the last run, and gives them to the next one if its run file names the same.

    Files that change while a process trains on them are not read again.
    """

    def __init__(self) -> None:
        """Nothing is read yet."""
        self._splits: tuple[Any, Splits] | None = None
        self._tokens: tuple[Any, Tokenized] | None = None

    def splits_of(self, config: RunConfig) -> Splits:
        """The splits of a run file.

        Raises:
            DataError: as `load_splits`.
        """
        key = (config.data, config.head.kind, config.training.seed if config.data.seed is None else config.data.seed)
        if self._splits is None or self._splits[0] != key:
            self._splits, self._tokens = (key, load_splits(config.data, config.head.kind, config.training.seed)), None
        return self._splits[1]

    def tokenized(self, classifier: Classifier, config: RunConfig) -> Tokenized:
        """Token ids of each split and the lengths of its texts before truncation, as `Classifier.tokenize` returns them."""
        splits = self.splits_of(config)
        key = config.encoder.model_dump(exclude=_NOT_OF_TOKENS)
        if self._tokens is None or self._tokens[0] != key:
            tokens = {
                name: classifier.tokenize(table.texts, table.pairs, cache=config.encoder.cache_tokens)
                for name, table in splits.named().items()
            }
            self._tokens = key, tokens
        return self._tokens[1]
