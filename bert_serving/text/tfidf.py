"""TF-IDF of words and pairs of neighboring words, for linear models."""

import re
from array import array
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas

# Chinese, Japanese and Thai are written without spaces: there each character is a word.
WORD = "[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff]|[^\\W\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff]+"


def weigh_terms(train: Sequence[str], test: Sequence[str], least_rows: int = 1) -> tuple[Any, Any] | None:
    """TF-IDF of the lower-cased words and pairs of neighboring words of `train`, sublinear in their counts.

    The values are those of scikit-learn's `TfidfVectorizer(token_pattern=WORD, ngram_range=(1, 2), sublinear_tf=True,
    min_df=least_rows)` with the columns in another order, in a third of the time: pairs are numbers here, not strings.

    Args:
        train: texts that define the terms and their weights.
        test: texts to transform with them.
        least_rows: terms in fewer texts of `train` are left out.

    Returns:
        scipy.sparse CSR float64 [train, terms] and [test, terms]; None where `train` has no such terms.
    """
    from sklearn.feature_extraction.text import TfidfTransformer  # noqa: PLC0415  slow to import

    numbers: defaultdict[str, int] = defaultdict()
    numbers.default_factory = numbers.__len__
    words = [_number_words(texts, numbers) for texts in (train, test)]
    (train_codes, train_rows), (test_codes, test_rows) = (_codes(*split, len(numbers)) for split in words)
    columns, terms = pandas.factorize(train_codes)
    counts = _count(train_rows, columns, (len(train), len(terms)))
    enough = np.flatnonzero(np.bincount(counts.indices, minlength=len(terms)) >= least_rows)
    if not len(enough):
        return None
    columns = pandas.Index(terms[enough]).get_indexer(test_codes)
    known = columns >= 0
    counts, tested = counts[:, enough], _count(test_rows[known], columns[known], (len(test), len(enough)))
    transformer = TfidfTransformer(sublinear_tf=True).fit(counts)
    return transformer.transform(counts), transformer.transform(tested)


def _number_words(texts: Sequence[str], numbers: defaultdict[str, int]) -> tuple[np.ndarray, np.ndarray]:
    """Words of all texts concatenated, int64 [words], and their number in each text, int64 [texts]."""
    find, number = re.compile(WORD).findall, numbers.__getitem__
    ids, lengths = array("q"), array("q")
    for text in texts:
        before = len(ids)
        ids.extend(map(number, find(text.lower())))
        lengths.append(len(ids) - before)
    return np.asarray(ids, np.int64), np.asarray(lengths, np.int64)


def _codes(ids: np.ndarray, lengths: np.ndarray, words: int) -> tuple[np.ndarray, np.ndarray]:
    """A number for each word and for each pair of neighbors, int64, and their rows."""
    rows = np.repeat(np.arange(len(lengths)), lengths)
    together = np.flatnonzero(rows[:-1] == rows[1:])
    pairs = words + ids[together] * words + ids[together + 1]
    return np.concatenate([ids, pairs]), np.concatenate([rows, rows[together]])


def _count(rows: np.ndarray, columns: np.ndarray, shape: tuple[int, int]) -> Any:
    """How often each column occurs in each row, scipy.sparse CSR float64."""
    from scipy.sparse import csr_matrix  # noqa: PLC0415  slow to import

    return csr_matrix((np.ones(len(rows)), (rows, columns)), shape)
