"""Typical words of a class, by the chi-squared statistic."""

# scipy and scikit-learn are imported where they are needed: they take a second.
# ruff: noqa: PLC0415

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bert_serving.exploration.corpus import Corpus

LISTED = 25
"""words of each class"""
LEAST_ROWS = 5
"""words in fewer training texts are left out"""
GIVEAWAY_SHARE = 0.99
GIVEAWAY_ROWS = 0.25
"""a word in this share of a class's texts that nearly only occurs there gives the class away"""


@dataclass(frozen=True)
class TypicalWord:
    """A word that is more frequent in a class than elsewhere.

    Attributes:
        label: the class.
        word: lower-cased; a single character in scripts without spaces.
        chi2: chi-squared of the word's presence and the class.
        rows: training texts of the class that hold it.
        share: these as a share of the class's training texts, 0 to 1.
        elsewhere: share of the other training texts that hold it.
        purity: share of the training texts with the word that are of the class.
    """

    label: str
    word: str
    chi2: float
    rows: int
    share: float
    elsewhere: float
    purity: float

    @property
    def gives_away(self) -> bool:
        """Whether nearly every text with the word is of the class, and they are a large share of it."""
        return self.purity >= GIVEAWAY_SHARE and self.share >= GIVEAWAY_ROWS


def typical_words(corpus: Corpus, split: str, classes: Mapping[str, np.ndarray]) -> dict[str, list[TypicalWord]]:
    """The words most typical of each class in one split, the most typical first.

    Args:
        corpus: the rows.
        split: usually train.
        classes: for each class the rows of the split that belong to it, bool [rows of the split].
    """
    from sklearn.feature_selection import chi2

    presence, names = _presence(corpus, split)
    if presence is None:
        return {label: [] for label in classes}
    rows = presence.shape[0]
    holding = np.asarray(presence.sum(axis=0)).ravel()
    typical: dict[str, list[TypicalWord]] = {}
    for label, inside in classes.items():
        if not inside.any() or inside.all():
            typical[label] = []
            continue
        statistic, _ = chi2(presence, inside)
        here = np.asarray(presence[np.flatnonzero(inside)].sum(axis=0)).ravel()
        share, elsewhere = here / inside.sum(), (holding - here) / (rows - inside.sum())
        order = np.argsort(-np.where(share > elsewhere, statistic, -1), kind="stable")[:LISTED]
        typical[label] = [
            TypicalWord(
                label,
                names[term],
                float(statistic[term]),
                int(here[term]),
                float(share[term]),
                float(elsewhere[term]),
                float(here[term] / holding[term]),
            )
            for term in order.tolist()
            if share[term] > elsewhere[term]
        ]
    return typical


def _presence(corpus: Corpus, split: str) -> tuple[Any, list[str]]:
    """Which terms each row of a split holds, scipy.sparse CSR float64 [rows, terms] of 0 and 1; rare terms left out."""
    from scipy.sparse import csr_matrix

    span = corpus.span(split)
    offsets = corpus.words.offsets[span.start : span.stop + 1]
    ids = corpus.words.ids[offsets[0] : offsets[-1]]
    shape = (len(offsets) - 1, len(corpus.words.words))
    counts = csr_matrix((np.ones(len(ids), np.int32), ids, offsets - offsets[0]), shape) @ corpus.terms.counts
    counts.data[:] = 1
    frequent = np.flatnonzero(np.asarray(counts.sum(axis=0)).ravel() >= LEAST_ROWS)
    if not len(frequent):
        return None, []
    return counts[:, frequent].astype(np.float64), [corpus.terms.names[term] for term in frequent.tolist()]
