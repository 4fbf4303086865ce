"""Weighted terms against scikit-learn's own."""

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from bert_serving.text.tfidf import WORD, weigh_terms

WORDS = ["Good", "good", "bad", "a_b", "Straße", "x2", "好吃", "ไทย", "ひらがな", "--", "!", "it's", "I\u0307", "&amp;"]


def random_texts(count: int, seed: int) -> list[str]:
    random = np.random.default_rng(seed)
    return [" ".join(random.choice(WORDS, random.integers(0, 12))) for _ in range(count)]


@pytest.mark.parametrize("least_rows", [1, 2, 30])
def test_texts_have_the_products_that_scikit_learn_gives_them(least_rows):
    train, test = random_texts(80, 0), [*random_texts(30, 1), "never seen", ""]
    found = weigh_terms(train, test, least_rows)
    vectorizer = TfidfVectorizer(token_pattern=WORD, ngram_range=(1, 2), sublinear_tf=True, min_df=least_rows)
    expected = vectorizer.fit_transform(train), vectorizer.transform(test)
    assert [each.shape for each in found] == [each.shape for each in expected]
    for one, other in zip(found, expected, strict=True):
        # The columns stand in another order, which products do not see.
        assert np.allclose((one @ found[0].T).toarray(), (other @ expected[0].T).toarray(), atol=1e-12)
        assert np.allclose(np.sort(one.toarray()), np.sort(other.toarray()), atol=1e-12)


@pytest.mark.parametrize(("train", "least_rows"), [(["", "!?"], 1), (["one", "two"], 2), ([], 1)])
def test_texts_without_terms_have_none(train, least_rows):
    assert weigh_terms(train, ["one"], least_rows) is None
