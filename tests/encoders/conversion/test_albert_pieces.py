"""SentencePiece of an ALBERT: its files read together."""

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sentencepiece import sentencepiece_model_pb2
from support.hugging_face_folders import sentencepiece_model
from support.tokenizer_folders import added, changed, rules, write_folder

from bert_serving.encoders.conversion.tokenizer import Tokenizer, read_tokenizer
from bert_serving.encoders.conversion.tokenizer_files import read_json
from bert_serving.errors import EncoderError
from bert_serving.text.preprocessing import load_preprocessing

TEXTS = ["good film", "The ``BIKE'' caf\u00e9, very", "", "good\u00a0\u3000 wheel  is"]
NAMES = ("<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]")


def steps(*, lower_case: bool = True, keep_accents: bool = False, charsmap: bytes = b"") -> list[dict[str, Any]]:
    """The normalizer that transformers writes (`AlbertConverter`)."""
    quotes = [{"type": "Replace", "pattern": {"String": mark}, "content": '"'} for mark in ("``", "''")]
    accents = [] if keep_accents else [{"type": "NFKD"}, {"type": "StripAccents"}]
    lower = [{"type": "Lowercase"}] if lower_case else []
    compiled = {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(charsmap).decode()}
    spaces = {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}
    return [*quotes, *accents, *lower, compiled, spaces]


def albert(model: bytes, **flags: bool) -> dict[str, Any]:
    """tokenizer.json with the pieces of a SentencePiece model."""
    proto = sentencepiece_model_pb2.ModelProto.FromString(model)
    tokens = tuple(piece.piece for piece in proto.pieces)
    template = changed(rules(tokens, special=NAMES), "added_tokens.4.lstrip", True)
    metaspace = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True}
    return template | {
        "normalizer": {
            "type": "Sequence",
            "normalizers": steps(charsmap=proto.normalizer_spec.precompiled_charsmap, **flags),
        },
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, metaspace]},
        "decoder": metaspace,
        "model": {"type": "Unigram", "unk_id": 1, "vocab": [[piece.piece, piece.score] for piece in proto.pieces]},
    }


@pytest.fixture(scope="module")
def model() -> bytes:
    return sentencepiece_model()


def read(folder: Path) -> Tokenizer:
    return read_tokenizer(folder, read_json(folder / "config.json"))


def write(folder: Path, **files: Any) -> Path:
    names = {"rules": "tokenizer.json", "settings": "tokenizer_config.json", "model": "spiece.model"}
    return write_folder(folder, {names[key]: content for key, content in files.items()}, model_type="albert")


def rows(tokenizer: Tokenizer, scratch: Path) -> list[list[int]]:
    tokenizer.pieces.write(scratch)
    words, _, offsets, _ = load_preprocessing(scratch).token_rows(TEXTS, None, 512)
    return [row.tolist() for row in np.split(words, offsets[1:-1])]


@pytest.mark.slow
def test_tokenizer_json_gives_the_same_ids_as_its_model(tmp_path, model):
    alone = read(write(tmp_path / "model", model=model))
    both = read(write(tmp_path / "both", model=model, rules=albert(model)))
    other = read(write(tmp_path / "rules", rules=albert(model)))
    assert alone.pieces == both.pieces
    assert other.pieces.model.content != model
    assert rows(other, tmp_path / "other") == rows(alone, tmp_path / "alone")


@pytest.mark.slow
def test_the_pieces_of_tokenizer_json_count_where_the_model_differs(tmp_path, model):
    proto = sentencepiece_model_pb2.ModelProto.FromString(model)
    proto.pieces[8].piece, proto.pieces[9].piece = proto.pieces[9].piece, proto.pieces[8].piece
    swapped = proto.SerializeToString()
    found = read(write(tmp_path / "it", model=model, rules=albert(swapped)))
    assert rows(found, tmp_path / "1") == rows(read(write(tmp_path / "swapped", model=swapped)), tmp_path / "2")


@pytest.mark.parametrize(
    ("flags", "settings", "expected"),
    [
        ({}, {}, (True, True)),
        ({"lower_case": False}, {"do_lower_case": False}, (False, True)),
        ({"keep_accents": True}, {"keep_accents": True}, (True, False)),
        ({"lower_case": False}, {"tokenizer_class": "PreTrainedTokenizerFast"}, (False, True)),
    ],
)
def test_case_and_accents_are_read_where_the_files_agree(tmp_path, model, flags, settings, expected):
    found = read(write(tmp_path / "it", rules=albert(model, **flags), settings=settings)).pieces.rules
    assert (found.lower_case, found.strip_accents) == expected


@pytest.mark.parametrize(
    ("flags", "settings", "problem"),
    [
        (
            {"lower_case": False},
            {"do_lower_case": True},
            "do_lower_case is true, but the normalizer of tokenizer.json says false",
        ),
        ({}, {"do_lower_case": False}, "do_lower_case is false, but the normalizer of tokenizer.json says true"),
        (
            {"lower_case": False},
            {},
            "do_lower_case is true where the file does not tell, but the normalizer of tokenizer.json",
        ),
        (
            {"keep_accents": True},
            {"keep_accents": False},
            "keep_accents is false, but the normalizer of tokenizer.json says true",
        ),
        ({}, {"keep_accents": True}, "keep_accents is true, but the normalizer of tokenizer.json says false"),
    ],
)
def test_files_that_contradict_each_other_are_refused(tmp_path, model, flags, settings, problem):
    folder = write(tmp_path / "it", rules=albert(model, **flags), settings=settings)
    with pytest.raises(EncoderError) as raised:
        read(folder)
    assert str(raised.value).startswith(f"{folder / 'tokenizer_config.json'}: {problem}")


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        ("normalizer.normalizers", [{"type": "Prepend"}], "its normalizer has 'Prepend', only Replace, NFKD"),
        ("normalizer", {"type": "Precompiled"}, 'normalizer is "Precompiled", only ALBERT\'s "Sequence"'),
        ("normalizer", None, 'normalizer is null, only ALBERT\'s "Sequence"'),
        ("pre_tokenizer", {"type": "ByteLevel"}, 'pre_tokenizer is ["ByteLevel"], only ALBERT\'s ["Metaspace"]'),
        ("model.type", "BPE", 'model.type is "BPE", only ALBERT\'s "Unigram"'),
        ("model.vocab", 3, "cannot read its vocabulary: TypeError"),
        ("post_processor", None, "post_processor is null with another frame than BERT's"),
        (
            "added_tokens",
            [added("<e1>", id=50)],
            "gives the added token '<e1>' the id 50, expected 48, the next one after",
        ),
        ("added_tokens", [added("")], 'has {"content": "", "special": true, '),
        ("added_tokens", 3, "has 3 for a list of added tokens; correct it"),
    ],
)
def test_rules_that_are_not_alberts_are_refused(tmp_path, model, path, value, problem):
    folder = write(tmp_path / "it", rules=changed(albert(model), path, value))
    with pytest.raises(EncoderError) as raised:
        read(folder)
    assert str(raised.value).startswith(f"{folder / 'tokenizer.json'}: {problem}")


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        (
            {"tokenizer_class": "BertTokenizer"},
            "tokenizer_class is 'BertTokenizer'; with SentencePiece only 'AlbertTokenizer'",
        ),
        ({"cls_token": "<s>"}, "cls_token is '<s>', only ALBERT's '[CLS]' can be converted"),
    ],
)
def test_a_tokenizer_that_is_not_alberts_is_refused(tmp_path, model, settings, problem):
    folder = write(tmp_path / "it", model=model, settings=settings)
    with pytest.raises(EncoderError) as raised:
        read(folder)
    assert str(raised.value).startswith(f"{folder}: {problem}")


@pytest.mark.peers
@pytest.mark.parametrize(
    ("flags", "settings"),
    [({}, {}), ({"lower_case": False, "keep_accents": True}, {"do_lower_case": False, "keep_accents": True})],
)
def test_token_ids_are_those_that_transformers_gives(tmp_path, model, flags, settings):
    transformers = pytest.importorskip("transformers", reason="needs transformers")
    folder = write(tmp_path / "it", rules=albert(model, **flags), settings=settings, model=model)
    theirs = transformers.AutoTokenizer.from_pretrained(folder)
    assert rows(read(folder), tmp_path / "out") == [theirs(text)["input_ids"] for text in TEXTS]


def test_a_damaged_tokenizer_json_is_told(tmp_path, model):
    folder = write(tmp_path / "it", rules=json.dumps(albert(model))[:-9])
    with pytest.raises(EncoderError, match=r"tokenizer\.json: cannot read it: "):
        read(folder)
