import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from bert_serving.text.preprocessing import Preprocessing, load_preprocessing
from bert_serving.text.words import SEPARATOR, number_words, split_words


@pytest.fixture(scope="module")
def preprocessing(encoder_folder) -> Preprocessing:
    return load_preprocessing(encoder_folder / "preprocessing")


def pieces(preprocessing: Preprocessing, texts: list[str]) -> list[list[int]]:
    return preprocessing.segment(tf.constant(texts, tf.string)).merge_dims(1, -1).to_list()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" \t\n\u00a0\u3000", []),
        ("Good film!", ["Good", "film", "!"]),
        ("it's so-so", ["it", "'", "s", "so", "-", "so"]),
        ("很好吃，谢谢", ["很", "好", "吃", "，", "谢", "谢"]),
        ("good😊 bad", ["good😊", "bad"]),
        ("a_b $5", ["a", "_", "b", "$", "5"]),
        ("ครับผม", ["ครับผม"]),
    ],
)
def test_texts_are_split_at_spaces_punctuation_and_chinese_characters(text, expected):
    assert split_words(text) == expected


def test_no_character_is_split_where_the_tokenizer_does_not_split(preprocessing):
    """The pieces of a text are those of its words, whatever character stands between two letters."""
    texts = [f"good{chr(code)}bad {chr(code)}" for code in range(1, 0x10000) if not 0xD800 <= code < 0xE000]
    words = [split_words(text) for text in texts]
    flat = iter(pieces(preprocessing, [word for row in words for word in row]))
    joined = [[piece for _ in row for piece in next(flat)] for row in words]
    different = [
        text for text, one, other in zip(texts, pieces(preprocessing, texts), joined, strict=True) if one != other
    ]
    assert different == []


@settings(deadline=None, max_examples=150, derandomize=True)
@given(text=st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=30))
def test_any_text_has_the_pieces_of_its_words(preprocessing, text):
    words = split_words(text)
    by_word = [piece for row in (pieces(preprocessing, words) if words else []) for piece in row]
    assert by_word == pieces(preprocessing, [text])[0]


class TestNumberedWords:
    def test_give_each_text_back(self):
        texts = ["good film good", "", "bad!"]
        rows = number_words(texts)
        assert [[rows.words[number] for number in rows.row(row)] for row in range(3)] == [
            ["good", "film", "good"],
            [],
            ["bad", "!"],
        ]
        assert rows.counts().tolist() == [2, 1, 1, 1]
        assert len(rows) == 3

    def test_keep_the_two_texts_of_a_pair_apart(self):
        rows = number_words(["good"], ["film"])
        assert [rows.words[number] for number in rows.row(0)] == ["good", SEPARATOR, "film"]

    def test_add_up_a_value_of_the_words(self):
        rows = number_words(["a b a", "", "b"])
        assert rows.sums(np.asarray([10, 1])).tolist() == [21, 0, 1]

    @pytest.mark.parametrize("texts", [[], ["", ""]])
    def test_may_be_none(self, texts):
        rows = number_words(texts)
        assert (len(rows), rows.words, rows.counts().tolist()) == (len(texts), [], [])
