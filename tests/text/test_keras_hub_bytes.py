"""KerasHub's byte-level BPE: token ids that `RobertaTokenizer` of KerasHub 0.32 gave, and live ones."""

import json
import os
import random
from collections.abc import Sequence

import pytest
import tensorflow as tf
import tensorflow_text
from support.byte_level import MERGES, TOKENS
from support.keras_hub_presets import BYTE_TEXTS, WORDS
from support.paths import RECORDED

from bert_serving.text.byte_level_bpe import WordRules, byte_level_model
from bert_serving.text.keras_hub_bytes import KerasHubWordRules, keras_hub_byte_model

RECORD = json.loads((RECORDED / "keras_hub.json").read_text("utf-8"))
SPECIAL = ("<pad>", "</s>", "<s>", "<mask>")
SPACES = {"token_ids": False, "token_ids_after_a_space": True}


def token_ids(model: bytes, rules: KerasHubWordRules | WordRules, texts: Sequence[str]) -> dict[str, list[int]]:
    pieces = tensorflow_text.SentencepieceTokenizer(model).tokenize(rules.split(rules.apply(tf.constant([*texts]))))
    return dict(zip(texts, pieces.merge_dims(1, 2).to_list(), strict=True))


@pytest.fixture(scope="module")
def model() -> bytes:
    return keras_hub_byte_model(TOKENS, MERGES, SPECIAL)


@pytest.mark.parametrize("name", SPACES)
def test_token_ids_are_those_that_keras_hub_gave(model, name):
    rules = KerasHubWordRules(SPECIAL, add_prefix_space=SPACES[name])
    assert token_ids(model, rules, BYTE_TEXTS) == dict(zip(BYTE_TEXTS, RECORD[name], strict=True))


def random_texts() -> list[str]:
    """Texts of characters on which the split into words depends."""
    letters = [
        *" \t\n\v\f\r\x00\x1c\u0085\u00a0\u2003\u2009\u202f\u3000\u096c",
        "'",
        "'s",
        "a",
        "the",
        "1",
        ".",
        "<s>",
        "\u00e9",
    ]
    source = random.Random(5)
    return ["".join(source.choices(letters, k=source.randrange(1, 12))) for _ in range(400)]


@pytest.mark.peers
@pytest.mark.parametrize("name", SPACES)
def test_token_ids_are_those_of_keras_hub(model, name):
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    tokenizers = pytest.importorskip("keras_hub").tokenizers
    tokenizer = tokenizers.RobertaTokenizer(**WORDS, add_prefix_space=SPACES[name])
    rules = KerasHubWordRules(SPECIAL, add_prefix_space=SPACES[name])
    texts = [*BYTE_TEXTS, *random_texts()]
    expected = next(iter(tf.data.Dataset.from_tensor_slices(texts).batch(len(texts)).map(tokenizer)))
    assert token_ids(model, rules, texts) == dict(zip(texts, expected.to_list(), strict=True))


@pytest.mark.parametrize(
    ("text", "keras_hub", "gpt2"),
    [
        ("the \n good", ["t", "he", "\u0120", "\u010a", "\u0120good"], ["t", "he", "\u0120", "\u010a", "\u0120good"]),
        ("the\u096cgood", ["t", "he", "good"], None),
        ("<s>", ["<s>"], ["<", "s", ">"]),
        ("good<unk>", ["good", "<", "u", "n", "k", ">"], ["good", "<", "u", "n", "k", ">"]),
        ("good  ", ["good", "\u0120", "\u0120"], ["good", "\u0120\u0120"]),
    ],
)
def test_words_are_those_of_keras_hub_and_not_of_gpt2(model, text, keras_hub, gpt2):
    def tokens(model: bytes, rules: KerasHubWordRules | WordRules) -> list[str]:
        return [TOKENS[number] for number in token_ids(model, rules, (text,))[text]]

    assert tokens(model, KerasHubWordRules(SPECIAL)) == keras_hub
    if gpt2 is not None:
        assert tokens(byte_level_model(TOKENS, MERGES, {*SPECIAL, "<unk>"}, "<unk>"), WordRules()) == gpt2


@pytest.mark.parametrize("special", [SPECIAL, (*SPECIAL, "<unk>"), ("[caf\u00e9]", *SPECIAL)])
def test_special_tokens_in_a_text_are_found_whatever_their_letters(special):
    tokens = [token for token in TOKENS if token != "<unk>"] + [token for token in special if token not in SPECIAL]
    model = keras_hub_byte_model(tokens, MERGES, special)
    text = "good".join(special)
    found = token_ids(model, KerasHubWordRules(special), (text,))[text]
    expected = [number for token in special for number in (tokens.index(token), tokens.index("good"))]
    assert found == expected[:-1]


def test_a_special_token_that_the_vocabulary_lacks_is_told():
    with pytest.raises(ValueError, match="the vocabulary of 300 tokens lacks <sep>"):
        keras_hub_byte_model(TOKENS, MERGES, (*SPECIAL, "<sep>"))
