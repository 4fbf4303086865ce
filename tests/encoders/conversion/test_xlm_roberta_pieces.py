"""SentencePiece of XLM-RoBERTa and CamemBERT: its files read together."""

import base64
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sentencepiece import sentencepiece_model_pb2
from support.hugging_face_folders import fairseq_model
from support.tokenizer_folders import added, changed, write_folder

from bert_serving.encoders.conversion.tokenizer import Tokenizer, read_tokenizer
from bert_serving.encoders.conversion.tokenizer_files import read_json
from bert_serving.errors import EncoderError
from bert_serving.text.preprocessing import load_preprocessing

TEXTS = (
    "good film",
    "",
    "The  wheel\u00a0is\tNOT\u3000good\u2026",
    "caf\u00e9 \u6211\x0bfilm \u2581good",
    "(good))) bad!!!! \U0001f600",
)
SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")
METASPACE = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True}
SPACES = {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}


@pytest.fixture(scope="module")
def model() -> bytes:
    return fairseq_model()


def rules(model: bytes) -> dict[str, Any]:
    """tokenizer.json as `XLMRobertaConverter` of transformers makes it from the SentencePiece model."""
    proto = sentencepiece_model_pb2.ModelProto.FromString(model)
    pieces = [[token, 0.0] for token in SPECIAL]
    pieces += [[piece.piece, piece.score] for piece in proto.pieces[3:]] + [["<mask>", 0.0]]

    def part(kind: str, name: str) -> dict[str, Any]:
        return {kind: {"id": name, "type_id": 0}}

    single = [part("SpecialToken", "<s>"), part("Sequence", "A"), part("SpecialToken", "</s>")]
    second = [part("SpecialToken", "</s>"), part("Sequence", "B"), part("SpecialToken", "</s>")]
    charsmap = base64.b64encode(proto.normalizer_spec.precompiled_charsmap).decode()
    tokens = [piece for piece, _ in pieces]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            added(token, id=tokens.index(token), lstrip=token == "<mask>") for token in (*SPECIAL, "<mask>")
        ],
        "normalizer": {"type": "Precompiled", "precompiled_charsmap": charsmap},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, METASPACE]},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": single,
            "pair": single + second,
            "special_tokens": {
                name: {"id": name, "ids": [tokens.index(name)], "tokens": [name]} for name in ("<s>", "</s>")
            },
        },
        "decoder": METASPACE,
        "model": {"type": "Unigram", "unk_id": 3, "vocab": pieces, "byte_fallback": False},
    }


def write(folder: Path, model_type: str = "xlm-roberta", **files: Any) -> Path:
    names = {"rules": "tokenizer.json", "settings": "tokenizer_config.json", "model": "sentencepiece.bpe.model"}
    return write_folder(folder, {names[key]: content for key, content in files.items()}, model_type=model_type)


def read(folder: Path) -> Tokenizer:
    return read_tokenizer(folder, read_json(folder / "config.json"))


def rows(tokenizer: Tokenizer, scratch: Path, texts: tuple[str, ...] = TEXTS) -> list[list[int]]:
    tokenizer.pieces.write(scratch)
    words, _, offsets, _ = load_preprocessing(scratch).token_rows(texts, None, 512)
    return [row.tolist() for row in np.split(words, offsets[1:-1])]


def test_tokenizer_json_gives_the_same_ids_as_the_model(tmp_path, model):
    alone = read(write(tmp_path / "model", model=model))
    other = read(write(tmp_path / "rules", rules=rules(model)))
    # Multilingual E5 is a BERT with this tokenizer.
    bert = read(
        write(tmp_path / "bert", "bert", rules=rules(model), settings={"tokenizer_class": "XLMRobertaTokenizer"})
    )
    assert alone.pieces == other.pieces == bert.pieces
    assert (alone.pieces.second_type, alone.pieces.size) == (0, 50)


def test_two_ways_to_split_a_word_that_are_equally_likely_give_the_first(tmp_path, model):
    """Two orders of the same pieces have one sum of scores, which float32 does not show after a long beginning."""
    proto = sentencepiece_model_pb2.ModelProto.FromString(model)
    for number in (1, 2):
        proto.pieces.add(piece="\u0436" * number, score=-number * 3.4635427)
    tokenizer = read(write(tmp_path / "it", rules=rules(proto.SerializeToString())))
    texts = tuple("wheel" * number + "\u0436" * 3 for number in range(40))
    endings = {tuple(row[-3:]) for row in rows(tokenizer, tmp_path / "out", texts)}
    assert len(endings) == 1


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        (
            "normalizer",
            {"type": "Lowercase"},
            "its normalizer has 'Lowercase', only Precompiled, Strip, Replace of spaces",
        ),
        (
            "normalizer",
            {"type": "Replace", "pattern": {"String": "a"}},
            "its normalizer has 'Replace', only Precompiled",
        ),
        ("pre_tokenizer", {"type": "ByteLevel"}, 'pre_tokenizer is ["ByteLevel"], only ["Metaspace"] can be converted'),
        ("model.byte_fallback", True, "model.byte_fallback is true, only false can be converted"),
        ("model.vocab", 3, "cannot read its vocabulary: TypeError"),
        ("model.unk_id", 99, "cannot read its vocabulary: IndexError: unk_id is 99 of 50 pieces"),
        ("post_processor", None, "post_processor is null with another frame than RoBERTa's, '<s> A </s>' and"),
    ],
)
def test_rules_that_are_not_xlm_robertas_are_refused(tmp_path, model, path, value, problem):
    folder = write(tmp_path / "it", rules=changed(rules(model), path, value))
    with pytest.raises(EncoderError) as raised:
        read(folder)
    assert str(raised.value).startswith(f"{folder / 'tokenizer.json'}: {problem}")


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        (
            {"settings": {"tokenizer_class": "XLMRobertaTokenizer"}},
            "/sentencepiece.bpe.model: cannot read the SentencePiece",
        ),
        ({"model": b"no model"}, "/sentencepiece.bpe.model: not a SentencePiece model: "),
        ({"settings": {"cls_token": "[CLS]"}}, ": cls_token is '[CLS]', only '<s>' can be converted"),
    ],
)
def test_a_folder_that_lacks_a_part_is_refused(tmp_path, model, files, problem):
    folder = write(tmp_path / "it", **({"model": model} if problem.startswith(":") else {}), **files)
    with pytest.raises(EncoderError) as raised:
        read(folder)
    assert str(raised.value).startswith(f"{folder}{problem}")


@pytest.mark.peers
@pytest.mark.parametrize("steps", [[], [{"type": "Strip", "strip_left": False, "strip_right": True}, SPACES], [SPACES]])
@pytest.mark.parametrize("kind", ["xlm-roberta", "camembert", "bert"])
def test_token_ids_are_those_that_transformers_gives(tmp_path, model, kind, steps):
    transformers = pytest.importorskip("transformers", reason="needs transformers")
    content = rules(model)
    content["normalizer"] = {"type": "Sequence", "normalizers": [content["normalizer"], *steps]}
    files = {"model": model} if kind == "camembert" else {"rules": content}
    names = {"xlm-roberta": "XLMRobertaTokenizer", "camembert": "CamembertTokenizer", "bert": "PreTrainedTokenizerFast"}
    special = (
        {}
        if kind == "camembert"
        else {"cls_token": "<s>", "sep_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
    )
    folder = write(tmp_path / "it", kind, settings={"tokenizer_class": names[kind], **special}, **files)
    theirs = transformers.AutoTokenizer.from_pretrained(folder)
    assert rows(read(folder), tmp_path / "out") == [theirs(text)["input_ids"] for text in TEXTS]
