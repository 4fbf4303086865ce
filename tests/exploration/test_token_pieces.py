import itertools

import numpy as np
import pytest
from support.byte_level import byte_level_preprocessing

from bert_serving.data.table import LabeledTable
from bert_serving.errors import EncoderError
from bert_serving.exploration.corpus import number_rows
from bert_serving.exploration.token_pieces import split_into_pieces
from bert_serving.text.preprocessing import Preprocessing, load_preprocessing

TEXTS = [
    "The film is verygoodly",  # not in the vocabulary
    "very good film",
    "goodly Goodly badly",
    "bike 好 wheel 😊",
    "",
    "film!",
    "good\u200bfilm \x07 bad",
    "фильм good",
]


@pytest.fixture(scope="module")
def preprocessing(encoder_folder) -> Preprocessing:
    return load_preprocessing(encoder_folder / "preprocessing")


def split(preprocessing, texts, pairs=None, groups=()):
    corpus = number_rows({"train": LabeledTable(list(texts), pairs, ["x"] * len(texts), "a")})
    return split_into_pieces(corpus, preprocessing, groups)


@pytest.mark.parametrize("pairs", [None, TEXTS[::-1]])
def test_lengths_are_those_of_the_tokenizer(preprocessing, pairs):
    _, _, _, uncut = preprocessing.token_rows(TEXTS, pairs, 16)
    assert split(preprocessing, TEXTS, pairs).lengths.tolist() == uncut.tolist()


def test_unknown_tokens_are_those_of_the_tokenizer(preprocessing):
    ids, _, offsets, _ = preprocessing.token_rows(TEXTS, None, 1000)
    unknown = [int((ids[start:end] == 1).sum()) for start, end in itertools.pairwise(offsets)]
    found = split(preprocessing, TEXTS)
    assert found.unknown.tolist() == unknown
    assert found.unknown_share == pytest.approx(sum(unknown) / (len(ids) - 2 * len(TEXTS)))


def test_the_most_split_and_the_unknown_words_come_with_their_pieces(preprocessing):
    found = split(preprocessing, TEXTS)
    assert {(word.word, word.occurrences, word.pieces) for word in found.most_split} == {
        ("goodly", 1, ("good", "##ly")),
        ("Goodly", 1, ("good", "##ly")),
        ("badly", 1, ("bad", "##ly")),
    }
    unknown = {"verygoodly", "好", "😊", "!", "good\u200bfilm", "фильм"}
    assert {word.word for word in found.unknown_words} == unknown


def test_words_are_counted_by_script(preprocessing):
    found = {
        script.name: (script.words, script.pieces, script.unknown) for script in split(preprocessing, TEXTS).scripts
    }
    assert found["Cyrillic"] == (1, 1, 1)
    assert found["Han (Chinese characters)"] == (1, 1, 1)
    assert found["punctuation and symbols"][0] == 3  # the bell character is dropped by the tokenizer and has no pieces
    assert next(iter(found)) == "Latin"


@pytest.mark.parametrize(
    ("word", "script"),
    [
        ("º", "Latin"),  # named masculine ordinal indicator
        ("ＢＥＲＴ", "Latin"),
        ("𝐛𝐨𝐥𝐝", "Latin"),
        ("µ", "Greek"),
        ("ｶﾒﾗ", "Katakana"),
        ("한국", "Hangul"),
        ("ʻ", "other letters"),
        ("½", "digits"),
        ("…", "punctuation and symbols"),
    ],
)
def test_a_letter_in_another_form_keeps_its_script(word, script, preprocessing):
    assert [found.name for found in split(preprocessing, [word]).scripts] == [script]


def test_pieces_for_a_word_leave_punctuation_out(preprocessing):
    assert split(preprocessing, ["goodly ! ! ! !", "bad"]).pieces_per_word == pytest.approx(3 / 2)


class TestExamples:
    def test_there_is_one_for_each_group_and_for_what_fits_worst(self, preprocessing):
        texts = ["good film", "good film is bad very the", "good", "好 好 好 bad", "goodly badly"]
        found = split(preprocessing, texts, groups=[np.asarray([0, 1, 2]), np.asarray([], int)])
        assert [(example.number, example.why) for example in found.examples] == [
            (0, "median length"),
            (3, "many unknown words"),
            (4, "words split into many pieces"),
        ]
        assert found.examples[2].pieces == ("good", "##ly", "bad", "##ly")
        assert found.examples[0].tokens == 4

    def test_one_text_is_not_shown_twice(self, preprocessing):
        texts = ["好 好 好 bad", "好 好 好 bad", "好 good", "film film film"]
        assert [example.number for example in split(preprocessing, texts).examples] == [0, 2]

    def test_long_texts_are_cut_and_pairs_keep_their_separator(self, preprocessing):
        found = split(preprocessing, ["good " * 200], groups=[np.asarray([0])])
        assert (len(found.examples[0].pieces), found.examples[0].pieces[-1]) == (61, "…")
        found = split(preprocessing, ["good"], ["film"], groups=[np.asarray([0])])
        assert found.examples[0].pieces == ("good", "[SEP]", "film")


@pytest.fixture(scope="module")
def byte_level(tmp_path_factory) -> Preprocessing:
    return byte_level_preprocessing(tmp_path_factory.mktemp("byte_level") / "preprocessing")


@pytest.mark.parametrize("pairs", [None, TEXTS[::-1]])
def test_lengths_are_those_of_byte_level_bpe(byte_level, pairs):
    _, _, _, uncut = byte_level.token_rows(TEXTS, pairs, 16)
    found = split(byte_level, TEXTS, pairs)
    assert found.lengths.tolist() == uncut.tolist()
    assert not found.unknown.any()


def test_words_of_byte_level_bpe_come_as_inside_a_text(byte_level):
    found = {word.word: word.pieces for word in split(byte_level, ["the good goodly \u6211"]).most_split}
    assert found == {"goodly": ("good", "##l", "##y"), "\u6211": ("\\xe6", "##\\x88", "##\\x91")}


def test_an_encoder_without_a_vocabulary_is_refused(preprocessing, tmp_path):
    without = Preprocessing(preprocessing.model, preprocessing.special, tmp_path)
    with pytest.raises(EncoderError, match=r"vocab\.txt is missing"):
        split(without, TEXTS)


def test_empty_texts_are_no_fault(preprocessing):
    found = split(preprocessing, ["", " "])
    assert (found.lengths.tolist(), found.unknown_share, found.pieces_per_word, found.scripts) == ([2, 2], 0, 0, [])
