"""Added tokens in texts: what Hugging Face's `AddedVocabulary` makes of them."""

from collections.abc import Sequence

import pytest
import tensorflow as tf

from bert_serving.text.added_tokens import AddedToken, AddedTokens, problems
from bert_serving.text.clean import valid_utf8


def lower(texts: tf.Tensor) -> tf.Tensor:
    return tf.strings.lower(texts)


def letters(texts: tf.Tensor) -> tf.RaggedTensor:
    """A tokenizer whose ids are code points."""
    return tf.strings.unicode_decode(texts, "UTF-8")


def words_of_letters(texts: tf.Tensor) -> tf.RaggedTensor:
    return tf.strings.unicode_decode(tf.strings.split(texts), "UTF-8")


def found(tokens: Sequence[AddedToken], texts: Sequence[str | bytes], *, composed: bool = False) -> list[str]:
    """Texts as they are split: a token's id in brackets, other ids as letters."""
    search = AddedTokens(tokens, lower, composed=composed)
    rows = tf.function(lambda given: search.tokenize(valid_utf8(given), letters))(
        tf.constant(texts, tf.string)
    ).to_list()
    numbers = {token.number for token in tokens}
    return ["".join(f"<{number}>" if number in numbers else chr(number) for number in row) for row in rows]


PLAIN = AddedToken("[E1]", 900_001)
LONGER = AddedToken("[E1]x", 900_002)
NORMALIZED = AddedToken("[E2]", 900_003, normalized=True)
STRIPS = AddedToken("[S]", 900_004, lstrip=True, rstrip=True)
SINGLE = AddedToken("ab", 900_005, single_word=True)
SINGLE_MARK = AddedToken("@", 900_006, single_word=True)
WIDE = AddedToken("mask", 900_007, normalized=True)

CASES = [
    ([PLAIN], "A[E1]B", "a<900001>b"),
    ([PLAIN], "[E1]", "<900001>"),
    ([PLAIN], "[E1][E1] [E1]", "<900001><900001> <900001>"),
    ([PLAIN], "[e1] [E 1]", "[e1] [e 1]"),
    ([PLAIN], "", ""),
    ([PLAIN, LONGER], "[E1]x[E1]y", "<900002><900001>y"),
    ([LONGER], "[E1]", "[e1]"),
    ([NORMALIZED], "[e2]A[E2]", "<900003>a<900003>"),
    ([PLAIN, NORMALIZED], "[E2][E1][e2]", "<900003><900001><900003>"),
    ([STRIPS], "a \t[S]\u3000\n b", "a<900004>b"),
    ([STRIPS], " [S] [S] ", "<900004><900004>"),
    ([STRIPS, PLAIN], "[E1] [S] [E1]", "<900001><900004><900001>"),
    ([SINGLE], "ab cab abc ab", "<900005> cab abc <900005>"),
    ([SINGLE], "ab.ab-ab_ \u6211ab ab\u0301", "<900005>.<900005>-ab_ \u6211ab ab\u0301"),
    ([SINGLE], "abab", "abab"),
    ([SINGLE, PLAIN], "[E1]ab[E1]", "<900001><900005><900001>"),
    ([SINGLE, AddedToken("xy", 900_008)], "xyab abxy", "<900008>ab ab<900008>"),
    ([SINGLE_MARK], "a@ @ @b @@", "a@ <900006> @b <900006><900006>"),
]


@pytest.mark.parametrize(("tokens", "text", "expected"), CASES)
def test_a_text_is_split_at_its_tokens(tokens, text, expected):
    assert found(tokens, [text]) == [expected]


def test_texts_of_one_batch_do_not_touch_each_other():
    tokens = [PLAIN, STRIPS, SINGLE]
    texts = ["ab", "[E1]", "", "c", " [S] ab", "[S]", "ab"]
    assert found(tokens, texts) == [found(tokens, [text])[0] for text in texts]
    assert found(tokens, []) == []


def test_words_keep_their_dimension():
    search = AddedTokens([PLAIN], lower)
    rows = search.tokenize(tf.constant(["AB c[E1]d", "e"]), words_of_letters)
    assert rows.to_list() == [[[97, 98], [99], [900_001], [100]], [[101]]]


def test_full_width_letters_are_found_where_the_tokenizer_composes_later():
    assert found([WIDE], ["\uff4d\uff41\uff53\uff4b mask"], composed=True) == ["<900007> <900007>"]
    assert found([WIDE], ["\uff4d\uff41\uff53\uff4b"]) == ["\uff4d\uff41\uff53\uff4b"]


def test_a_byte_that_no_utf8_has_is_removed_and_splits_nothing():
    assert found([PLAIN], [b"a\xff[E1]\xffb", b"[E\xff1]"]) == ["a<900001>b", "<900001>"]


@pytest.mark.parametrize(
    ("tokens", "problem"),
    [
        (
            [AddedToken("[A]", 1, normalized=True), AddedToken("[a]", 2, normalized=True)],
            "'[A]' and '[a]' are one after",
        ),
        ([AddedToken("a b ", 1), STRIPS], "'a b ' has white space at its edge, which '[S]' takes"),
        ([AddedToken("[A]", 1, lstrip=True, single_word=True)], "'[A]' has single_word together with lstrip or rstrip"),
        (
            [AddedToken("[A]", 1, lstrip=True), AddedToken("[A]b", 2)],
            "'[A]' has lstrip or rstrip, and '[A]b' begins with",
        ),
        ([AddedToken("a" * 60_000, 1), AddedToken("b" * 60_000, 2)], "have 120000 characters, at most 100000"),
    ],
)
def test_tokens_that_cannot_be_searched_for_are_told(tokens, problem):
    [told] = problems(tokens, lower)
    assert problem in told


def test_many_tokens_are_found():
    tokens = [AddedToken(f"[unused{number}]", 900_000 + number) for number in range(5_000)]
    assert list(problems(tokens, lower)) == []
    assert found(tokens, ["[unused7]a[unused4999][unused70]"]) == ["<900007>a<904999><900070>"]
