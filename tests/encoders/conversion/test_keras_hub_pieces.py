"""Tokenizers of KerasHub's RoBERTa and XLM-RoBERTa."""

import json
from pathlib import Path

import pytest
import sentencepiece
from sentencepiece import sentencepiece_model_pb2
from support.cases import slow_but
from support.hugging_face_folders import fairseq_model, sentencepiece_model
from support.keras_hub_presets import ROBERTAS, WORDS, write_roberta_tokenizer

from bert_serving.encoders.conversion.keras_hub_pieces import read_keras_hub_pieces
from bert_serving.errors import EncoderError
from bert_serving.text.preprocessing import Preprocessing, load_preprocessing

TEXTS = ["the film is good", "  a wheel,\tgoodly-very (not)  ", "", "\u4e2d<s> <mask> <pad> not", "ﬁlm\u3000bad"]


def preprocessing(source: Path, name: str) -> Preprocessing:
    pieces = read_keras_hub_pieces(source, rows=ROBERTAS[name])
    assert pieces is not None
    pieces.write(source / "preprocessing")
    return load_preprocessing(source / "preprocessing")


def test_ids_of_an_xlm_roberta_are_those_of_sentencepiece_plus_one(tmp_path):
    write_roberta_tokenizer(tmp_path, "XLMRoberta")
    loaded = preprocessing(tmp_path, "XLMRoberta")
    processor = sentencepiece.SentencePieceProcessor(model_proto=fairseq_model())
    for text in TEXTS:
        ours, *_ = loaded.token_rows([text], None, 128)
        expected = [3 if number == processor.unk_id() else number + 1 for number in processor.encode(text)]
        assert ours.tolist() == [0, *expected, 2], text


@pytest.mark.parametrize("name", slow_but(ROBERTAS, kept=["Roberta"]))
def test_two_end_tokens_stand_between_the_texts_of_a_pair(tmp_path, name):
    write_roberta_tokenizer(tmp_path, name)
    loaded = preprocessing(tmp_path, name)
    first, second = (loaded.token_rows([text], None, 128)[0].tolist()[1:-1] for text in ("good", "bad film"))
    words, types, *_ = loaded.token_rows(["good"], ["bad film"], 128)
    assert words.tolist() == [0, *first, 2, 2, *second, 2]
    assert not types.any()
    assert loaded.special.padding == 1


def test_a_tokenizer_of_another_class_is_left_to_others(tmp_path):
    (tmp_path / "tokenizer.json").write_text('{"class_name": "BertTokenizer"}')
    assert read_keras_hub_pieces(tmp_path, rows=1) is None


def without(token: str) -> str:
    return json.dumps({known: number for known, number in WORDS["vocabulary"].items() if known != token})


def with_mask() -> bytes:
    model = sentencepiece_model_pb2.ModelProto.FromString(fairseq_model())
    model.pieces[-1].piece = "<mask>"
    return model.SerializeToString()


@pytest.mark.parametrize(
    ("name", "settings", "files", "problem"),
    [
        ("Roberta", {"sequence_length": 8}, {}, "tokenizer.json: sequence_length is 8, only None can be converted"),
        ("XLMRoberta", {"add_bos": True}, {}, "tokenizer.json: add_bos is True, only False can be converted"),
        ("Roberta", {"unsplittable_tokens": "<s>"}, {}, "unsplittable_tokens is '<s>', expected a list of tokens"),
        (
            "Roberta",
            {"unsplittable_tokens": ["<x>"]},
            {},
            "vocabulary.json: cannot read its vocabulary: the vocabulary",
        ),
        ("Roberta", {}, {"vocabulary.json": without("a")}, "has a token that is not in the vocabulary"),
        ("Roberta", {}, {"vocabulary.json": without("k")}, "it has no token for the byte 0x6B"),
        ("Roberta", {}, {"vocabulary.json": without("<mask>")}, "the vocabulary of 299 tokens lacks <mask>"),
        ("Roberta", {}, {"vocabulary.json": "[]"}, "vocabulary.json: "),
        ("Roberta", {}, {"vocabulary.json": '{"a": "b"}'}, "vocabulary.json: "),
        (
            "Roberta",
            {},
            {"merges.txt": "a b c\n"},
            "merges.txt: cannot read it: a merge is 'a b c', expected two tokens",
        ),
        ("Roberta", {}, {"merges.txt": None}, "merges.txt: missing; byte-level BPE needs its merges"),
        ("Roberta", {}, {"merges.txt": b"\xff"}, "merges.txt: cannot read it: "),
        (
            "XLMRoberta",
            {},
            {"vocabulary.spm": sentencepiece_model()},
            "begin with <pad>, <unk>, [CLS], expected <unk>, ",
        ),
        (
            "XLMRoberta",
            {},
            {"vocabulary.spm": with_mask()},
            "the SentencePiece model has '<mask>', which KerasHub adds",
        ),
        ("XLMRoberta", {}, {"vocabulary.spm": b"x"}, "vocabulary.spm: not a SentencePiece model: "),
        ("XLMRoberta", {}, {"vocabulary.spm": None}, "vocabulary.spm: cannot read the SentencePiece model: "),
    ],
)
def test_a_tokenizer_that_cannot_be_converted_is_told(tmp_path, name, settings, files, problem):
    write_roberta_tokenizer(tmp_path, name, **settings)
    for file, content in files.items():
        path = tmp_path / "assets" / "tokenizer" / file
        path.unlink()
        if content is not None:
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(EncoderError) as raised:
        read_keras_hub_pieces(tmp_path, rows=ROBERTAS[name])
    assert problem in str(raised.value)
    assert "\n" not in str(raised.value)


def test_more_tokens_than_embeddings_are_told(tmp_path):
    write_roberta_tokenizer(tmp_path, "Roberta")
    with pytest.raises(EncoderError, match="has 300 tokens, the encoder's embedding table 299 rows"):
        read_keras_hub_pieces(tmp_path, rows=299)


def test_a_line_with_the_version_may_stand_before_the_merges(tmp_path):
    write_roberta_tokenizer(tmp_path, "Roberta")
    plain = read_keras_hub_pieces(tmp_path, rows=300)
    merges = tmp_path / "assets" / "tokenizer" / "merges.txt"
    merges.write_text(f"#version: 0.2\n{merges.read_text('utf-8')}", "utf-8")
    assert read_keras_hub_pieces(tmp_path, rows=300) == plain
