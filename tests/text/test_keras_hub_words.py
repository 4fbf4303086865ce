"""KerasHub's WordPiece: token ids that `BertTokenizer` of KerasHub 0.32 gave, and live ones."""

import os
from pathlib import Path

import pytest
import tensorflow as tf
from support.tiny import VOCABULARY

from bert_serving.text.keras_hub_words import write_keras_hub_words
from bert_serving.text.preprocessing import load_preprocessing

# Text, ids with accents kept, ids with accents removed.
RECORDED = [
    ("GOOD\u200dbad", [5, 6], [5, 6]),
    ("göod film", [1, 7], [5, 7]),
    ("ｇｏｏｄ　film", [1], [1]),
    ("good\u3000film", [1], [1]),
    ("film\ufe0f bad", [7, 6], [7, 6]),
    ("bad中film", [6, 1, 7], [6, 1, 7]),
    ("not\u00a0very", [1], [1]),
    ("veryly goodly-bad", [12, 13, 5, 13, 1, 6], [12, 13, 5, 13, 1, 6]),
    ("\ufe0f", [], []),
    ("the " + "bad" * 40, [9, 1], [9, 1]),
]


def pieces(folder: Path, *, strip_accents: bool) -> list[list[int]]:
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n", "utf-8")
    write_keras_hub_words(folder / "vocab.txt", folder / "words", lower_case=True, strip_accents=strip_accents)
    segmented = load_preprocessing(folder / "words").segment(tf.constant([text for text, *_ in RECORDED]))
    return segmented.merge_dims(1, -1).to_list()


@pytest.mark.parametrize("strip_accents", [False, True])
def test_token_ids_are_those_that_keras_hub_gave(tmp_path, strip_accents):
    expected = [stripped if strip_accents else kept for _, kept, stripped in RECORDED]
    assert pieces(tmp_path, strip_accents=strip_accents) == expected


@pytest.mark.peers
@pytest.mark.parametrize("strip_accents", [False, True])
def test_token_ids_are_those_of_keras_hub(tmp_path, strip_accents):
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    tokenizers = pytest.importorskip("keras_hub").tokenizers
    tokenizer = tokenizers.BertTokenizer(vocabulary=list(VOCABULARY), lowercase=True, strip_accents=strip_accents)
    expected = [list(map(int, row)) for row in tokenizer([text for text, *_ in RECORDED])]
    assert pieces(tmp_path, strip_accents=strip_accents) == expected
