"""Pieces of a vocabulary as people read them."""

import pytest
import tensorflow as tf
from support.byte_level import byte_level_preprocessing
from support.hugging_face_folders import sentencepiece_model

from bert_serving.text.preprocessing import load_preprocessing, write_sentencepiece_preprocessing
from bert_serving.text.sentencepieces import TextRules, parse_sentencepiece
from bert_serving.text.shown_pieces import read_shown_pieces


@pytest.fixture(scope="module")
def byte_level(tmp_path_factory):
    return byte_level_preprocessing(tmp_path_factory.mktemp("byte_level") / "preprocessing")


@pytest.fixture(scope="module")
def unigram(tmp_path_factory):
    folder = tmp_path_factory.mktemp("unigram") / "preprocessing"
    model = parse_sentencepiece(sentencepiece_model(), "spiece.model")
    write_sentencepiece_preprocessing(model, folder, rules=TextRules(plain_spaces=True))
    return load_preprocessing(folder)


@pytest.mark.parametrize(
    ("text", "pieces", "word"),
    [
        (" good", ("good",), ("good", True)),
        ("the", ("t", "##he"), ("the", False)),
        (" abcd", ("abc", "##d"), ("abcd", True)),
        ("\u6211", ("\\xe6", "##\\x88", "##\\x91"), ("\u6211", False)),
        ("\n", (), ("\u2423", True)),
        ("caf\u00e9", ("c", "##a", "##f\u00e9"), ("caf\u00e9", False)),
    ],
)
def test_bytes_are_shown_as_the_characters_that_they_make(byte_level, text, pieces, word):
    shown = read_shown_pieces(byte_level.folder)
    [ids] = [row for row in byte_level.segment(tf.constant([text]))[0].to_list() if row]
    assert shown.of_word(ids) == pieces
    assert shown.word(ids) == word


def test_pieces_of_sentencepiece_are_shown_without_its_sign_for_a_space(unigram):
    shown = read_shown_pieces(unigram.folder)
    ids = unigram.segment(tf.constant(["good verygood \u6211"]))[0].numpy().tolist()
    words = shown.words(ids)
    assert [shown.word(word) for word in words] == [("good", True), ("verygood", True), ("[UNK]", True)]
    assert shown.of_word(words[0]) == ("good",)
    assert "".join(shown.of_word(words[1])).replace("##", "") == "verygood"
    assert shown.of_word(words[2]) == ("[UNK]",)
