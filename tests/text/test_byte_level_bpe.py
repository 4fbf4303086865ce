"""Byte-level BPE in the graph: the token ids of Hugging Face's tokenizers."""

import json
import random

import pytest
import tensorflow as tf
import tensorflow_text
from sentencepiece import sentencepiece_model_pb2
from support.byte_level import LONG_TEXTS, MASK, MERGES, RULES, SPECIAL, TEXTS, TOKENS, counted, tokenizer_of
from support.cases import slow_but
from support.paths import RECORDED

from bert_serving.text.byte_level_bpe import BYTES, WordRules, byte_level_model, token_bytes
from bert_serving.text.clean import valid_utf8

RECORD = json.loads((RECORDED / "byte_level_bpe.json").read_text("utf-8"))
ALL_SPECIAL = (*SPECIAL, MASK)
CODE_POINTS = [chr(number) for number in range(0x110000) if not 0xD800 <= number < 0xE000]


@pytest.fixture(scope="module")
def model() -> bytes:
    return byte_level_model(TOKENS, MERGES, ALL_SPECIAL, "<unk>")


def tokenize(model: bytes, rules: WordRules, texts: list[str] | list[bytes]) -> list[list[int]]:
    words = rules.split(rules.apply(valid_utf8(tf.constant(texts, tf.string))))
    return tensorflow_text.SentencepieceTokenizer(model).tokenize(words).merge_dims(1, 2).to_list()


@pytest.mark.parametrize("name", RULES)
def test_token_ids_are_those_recorded_from_hugging_face(model, name):
    found = tokenize(model, RULES[name], list(TEXTS))
    recorded = RECORD["answers"][name]
    assert dict(zip(TEXTS, found, strict=True)) == dict(zip(TEXTS, recorded, strict=True))


def test_sentencepiece_has_nothing_to_say_about_the_model(model, capfd):
    tokenize(model, WordRules(), ["the good\0"])
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("name", slow_but(LONG_TEXTS, kept=[name for name in LONG_TEXTS if name != "NUL"]))
def test_a_word_of_100_000_characters_is_split_as_by_hugging_face(model, name):
    [found] = tokenize(model, WordRules(), [LONG_TEXTS[name]])
    assert counted(found) == RECORD["long"][name]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("xyz", ["x", "yz"]), ("xyz!", ["x", "yz", "!"]), ("abc", ["abc"]), ("def", ["def"]), ("xyzxyz", ["x", "yz"] * 2)],
)
def test_a_token_that_merges_do_not_reach_is_never_made(model, text, expected):
    # The vocabulary has "xyz" and the rule "xy" + "z", but "y" and "z" are merged before.
    [found] = tokenize(model, WordRules(), [text])
    assert [TOKENS[number] for number in found] == expected


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        (b"the\xffgood", "thegood"),
        (b"\xff \xc0\xafthe \xf5\x80", " the "),
        (b"\xed\xa0\x80good", "good"),
        (b"caf\xc3", "caf"),
    ],
)
def test_invalid_utf8_is_removed_before_the_split(model, text, valid):
    [found], [expected] = (tokenize(model, WordRules(), [each]) for each in (text, valid.encode()))
    assert found == expected


def test_words_are_a_dimension_of_their_own(model):
    words = WordRules().split(tf.constant(["the good", "a  b"]))
    assert [[word for word in row if word] for row in words.to_list()] == [[b"the", b" good"], [b"a", b" ", b" b"]]


@pytest.mark.parametrize(
    ("tokens", "merges", "problem"),
    [
        (
            tuple(token for token in TOKENS if token != "a"),
            (),
            "it has no token for the byte 0x61, and byte-level BPE needs one for every byte",
        ),
        (TOKENS, (*MERGES, ("<", "s"), ("<s", ">")), "the special token '<s>' is one that merges make of a text"),
    ],
)
def test_a_vocabulary_that_cannot_be_used_is_refused(tokens, merges, problem):
    with pytest.raises(ValueError, match=problem):
        byte_level_model(tokens, merges, ALL_SPECIAL, "<unk>")


def test_ids_without_a_token_are_kept_free():
    content = byte_level_model([*TOKENS, "", "\u6211", " ", "the end"], MERGES, ALL_SPECIAL, "<unk>")
    assert len(sentencepiece_model_pb2.ModelProto.FromString(content).pieces) == len(TOKENS) + 4
    assert tokenize(content, WordRules(), [" \u6211"]) == [
        [TOKENS.index(letter) for letter in "\u0120\u00e6\u012a\u0133"]
    ]


def test_bytes_of_a_piece_are_told_apart_from_its_name(model):
    pieces = [piece.piece for piece in sentencepiece_model_pb2.ModelProto.FromString(model).pieces]
    expected = [bytes(BYTES[letter] for letter in token) for token in TOKENS]
    made = [number for number, piece in enumerate(pieces) if not piece.startswith("\U0010fffd")]
    assert [token_bytes(pieces[number]) for number in made] == [expected[number] for number in made]


@pytest.mark.peers
@pytest.mark.parametrize("form", ["a{}1", "  {}"])
def test_every_character_is_split_as_by_hugging_face(model, form):
    pytest.importorskip("tokenizers", reason="needs tokenizers")
    texts = [form.format(character) for character in CODE_POINTS]
    theirs = tokenizer_of(WordRules()).encode_batch(texts, add_special_tokens=False)
    differing = [
        text
        for text, found, other in zip(texts, tokenize(model, WordRules(), texts), theirs, strict=True)
        if found != other.ids
    ]
    assert not differing


@pytest.mark.peers
@pytest.mark.parametrize("name", RULES)
def test_mixtures_of_hostile_texts_are_split_as_by_hugging_face(model, name):
    pytest.importorskip("tokenizers", reason="needs tokenizers")
    source = random.Random(0)
    letters = "".join(TEXTS)
    texts = ["".join(source.choices(letters, k=source.randrange(40))) for _ in range(5000)]
    theirs = tokenizer_of(RULES[name]).encode_batch(texts, add_special_tokens=False)
    assert tokenize(model, RULES[name], texts) == [other.ids for other in theirs]
