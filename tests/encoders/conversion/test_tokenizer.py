"""The files of a tokenizer, read together: transformers' token ids, or a refusal with what contradicts what."""

import contextlib
import functools
import json
import tempfile
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from support.paths import RECORDED
from support.tokenizer_folders import (
    PAIR,
    READ,
    REFUSED,
    RENAMED,
    ROLES,
    SETTINGS,
    SPECIAL,
    TEXTS,
    WORDS,
    added,
    answers,
    changed,
    rules,
    write_folder,
)

from bert_serving.encoders.conversion.tokenizer import Tokenizer, read_tokenizer
from bert_serving.encoders.conversion.tokenizer_files import read_json
from bert_serving.encoders.conversion.wordpieces import WordPieces
from bert_serving.errors import EncoderError
from bert_serving.text.preprocessing import Preprocessing, load_preprocessing
from bert_serving.text.tokenizers import WordPieceTokenize
from bert_serving.text.vocabulary import SpecialIds

RECORD = json.loads((RECORDED / "tokenizers.json").read_text("utf-8"))


@functools.cache
def _preprocessing(pieces: WordPieces) -> Preprocessing:
    """The preprocessing SavedModel; the same one for all folders that come to the same."""
    folder = Path(tempfile.mkdtemp(), "preprocessing")
    pieces.write(folder)
    return load_preprocessing(folder)


def _unsaved(pieces: WordPieces) -> Preprocessing:
    """The same in memory, which is made in a fraction of the time."""
    path = Path(tempfile.mkdtemp(), "vocab.txt")
    path.write_bytes("".join(f"{token}\n" for token in pieces.tokens).encode())
    tokenize = WordPieceTokenize(str(path), pieces.lower_case, pieces.added, pieces.vocabulary)
    return Preprocessing(SimpleNamespace(tokenize=tokenize), SpecialIds.from_names(tokenize.ids), path.parent)


@contextlib.contextmanager
def _without_graph() -> Iterator[None]:
    """Each operation runs for itself: to trace a graph takes longer than to use it once."""
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(False)


def _read(folder: Path) -> Tokenizer:
    return read_tokenizer(folder, read_json(folder / "config.json"))


def _rows(preprocessing: Preprocessing, texts: list[str]) -> list[list[int]]:
    words, _, offsets, _ = preprocessing.token_rows(texts, None, 512)
    return [row.tolist() for row in np.split(words, offsets[1:-1])]


def _answers(tokenizer: Tokenizer, preprocessing: Preprocessing) -> dict[str, Any]:
    words, types, _, _ = preprocessing.token_rows([PAIR[0]], [PAIR[1]], 512)
    pair = [words.tolist(), types.tolist()]
    return {"texts": _rows(preprocessing, list(TEXTS)), "pair": pair, "max_length": tokenizer.max_length}


# === What transformers 4 and 5 read alike ===


@pytest.mark.parametrize("name", READ)
def test_token_ids_are_those_that_transformers_gave(tmp_path, name):
    model_type, files = READ[name]
    found = _read(write_folder(tmp_path / "it", files, model_type=model_type))
    if name == "added everywhere":  # the richest one goes through a SavedModel
        assert _answers(found, _preprocessing(found.pieces)) == RECORD["answers"][name]
        return
    with _without_graph():
        assert _answers(found, _unsaved(found.pieces)) == RECORD["answers"][name]


def test_what_is_recorded_is_what_both_major_versions_gave():
    assert {version.partition(".")[0] for version in RECORD["versions"]} == {"4", "5"}
    assert RECORD["answers"].keys() == READ.keys()


@pytest.mark.parametrize("name", REFUSED)
def test_a_folder_that_may_be_read_in_two_ways_is_refused(tmp_path, name):
    files, problem = REFUSED[name]
    folder = write_folder(tmp_path / "it", files)
    with pytest.raises(EncoderError) as raised:
        _read(folder)
    assert str(raised.value).removeprefix(str(folder)).removeprefix("/").startswith(problem)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("changes", "has_types"),
    [
        ({}, True),
        ({"tokenizer_class": "DistilBertTokenizer"}, False),
        ({"model_input_names": ["input_ids", "attention_mask"]}, False),
        ({"tokenizer_class": "PreTrainedTokenizerFast"}, False),
        ({"tokenizer_class": "DistilBertTokenizer", "model_input_names": ["input_ids", "token_type_ids"]}, True),
    ],
)
def test_a_tokenizer_tells_whether_it_knows_the_second_text(tmp_path, changes, has_types):
    files = {"tokenizer.json": rules(), "tokenizer_config.json": SETTINGS | changes}
    assert _read(write_folder(tmp_path / "it", files)).has_types is has_types


# === The same, live ===


@pytest.mark.peers
@pytest.mark.parametrize("name", READ)
def test_token_ids_are_those_that_transformers_gives(tmp_path, name):
    transformers = pytest.importorskip("transformers", reason="needs transformers")
    model_type, files = READ[name]
    folder = write_folder(tmp_path / "it", files, model_type=model_type)
    found = _read(folder)
    assert _answers(found, _unsaved(found.pieces)) == answers(transformers.AutoTokenizer.from_pretrained(folder))


_FLAG = st.sampled_from([True, False])
_NAMES = st.sampled_from([{}, {}, {}, {role: RENAMED[token] for role, token in ROLES.items()}, {"cls_token": "[MASK]"}])


@st.composite
def _extras(draw: st.DrawFn) -> dict[str, Any]:
    rules = {
        name: draw(st.sampled_from([False, False, True])) for name in ("lstrip", "rstrip", "single_word", "normalized")
    }
    return added(draw(st.sampled_from(["[E1]", "[E1]", "newx", "film", "[E1]x"])), special=draw(_FLAG), **rules)


@st.composite
def _vocabularies(draw: st.DrawFn) -> tuple[str, ...]:
    words = draw(st.sampled_from([WORDS, WORDS[::-1], (*WORDS[:4], "[unused1]", *WORDS[4:])]))
    names = draw(st.sampled_from([*[SPECIAL] * 4, SPECIAL[::-1], tuple(RENAMED.values())]))
    return draw(st.sampled_from([(*names, *words), (*words, *names)]))


def _numbered(extras: list[dict[str, Any]], tokens: tuple[str, ...]) -> list[dict[str, Any]]:
    return [{"id": number, **extra} for number, extra in enumerate(extras, len(tokens))]


@st.composite
def _decoders(draw: st.DrawFn) -> dict[str, Any]:
    """`added_tokens_decoder` for the smaller vocabulary."""
    extras = draw(st.lists(_extras(), max_size=2))
    return {str(number): extra for number, extra in enumerate(extras, len(WORDS) + len(SPECIAL))}


@st.composite
def _rule_files(draw: st.DrawFn) -> dict[str, Any]:
    tokens = draw(_vocabularies())
    special = SPECIAL if SPECIAL[0] in tokens else tuple(RENAMED.values())
    content = rules(
        tokens,
        special=special,
        lowercase=draw(_FLAG),
        strip_accents=draw(st.sampled_from([None, None, True, False])),
        handle_chinese_chars=draw(st.sampled_from([True, True, True, False])),
    )
    changes = [
        *[("version", "1.0")] * 12,
        ("normalizer.clean_text", False),
        ("post_processor", None),
        ("post_processor.pair.3.Sequence.type_id", 0),
        ("post_processor", {"type": "BertProcessing", "sep": [special[3], tokens.index(special[3])], "cls": ["", 0]}),
        ("model.unk_token", special[0]),
        ("model.max_input_chars_per_word", 3),
        ("added_tokens", []),
        *[("added_tokens", [*content["added_tokens"], *_numbered(draw(st.lists(_extras(), max_size=3)), tokens)])] * 5,
        ("added_tokens.4.lstrip", True),
        ("added_tokens.0.id", 9),
        ("truncation", {"direction": "Left", "max_length": 9, "strategy": "LongestFirst", "stride": 0}),
        ("pre_tokenizer", {"type": "WhitespaceSplit"}),
    ]
    return changed(content, *draw(st.sampled_from(changes)))


_SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "do_lower_case": _FLAG,
        "strip_accents": st.sampled_from([None, None, True, False]),
        "tokenize_chinese_chars": st.sampled_from([True, True, True, False]),
        "do_basic_tokenize": _FLAG,
        "tokenizer_class": st.sampled_from(
            ["BertTokenizer", "BertTokenizerFast", "DistilBertTokenizer", "ElectraTokenizer", "PreTrainedTokenizerFast"]
        ),
        "added_tokens_decoder": st.sampled_from([{}, {"2": added("[CLS]")}]) | _decoders(),
        "split_special_tokens": _FLAG,
        # "[E1]" may be in added_tokens.json, which version 5 reads otherwise for special tokens; version 4 is followed.
        "additional_special_tokens": st.sampled_from([[], ["newx"], ["[SEP]"]]),
        "model_max_length": st.sampled_from([16, 512, 1e30]),
        "bos_token": st.sampled_from(["[CLS]", "[CLS]", "newx"]),
    },
)


@st.composite
def _folders(draw: st.DrawFn) -> dict[str, Any]:
    """Files of a folder, drawn each for itself, so that they often contradict each other."""
    settings = draw(st.none() | st.builds(lambda *parts: parts[0] | parts[1], _SETTINGS, _NAMES))
    end = draw(st.sampled_from(["\n", "\n", "\r\n"]))
    lines = end.join(draw(_vocabularies())) + draw(st.sampled_from(["", end, end * 3]))
    start = draw(st.sampled_from([*[""] * 9, "\ufeff"]))
    rule_file = draw(st.none() | _rule_files())
    if rule_file and settings and draw(_FLAG):
        # Agree, as the files of most folders do.
        listed = {str(token["id"]): token for token in rule_file["added_tokens"]}
        settings |= {"added_tokens_decoder": {number: {**token} for number, token in listed.items()}}
    return {
        "tokenizer.json": rule_file,
        "tokenizer_config.json": settings,
        "special_tokens_map.json": draw(st.sampled_from([None] * 3) | _NAMES),
        "added_tokens.json": draw(st.sampled_from([*[None] * 6, {}, {"[E1]": 22}])),
        "vocab.txt": start + lines,
    }


# Characters that both sides' tables of Unicode know, and in one category: U+1885 was a letter up to Unicode 8, as it is in
# transformers' tokenizers, and is an accent since, as it is in TensorFlow.
_CHARACTERS = st.characters(max_codepoint=0xFFFF, exclude_categories=("Cs", "Cn", "Co")).filter(
    lambda letter: unicodedata.ucd_3_2_0.category(letter) in ("Cn", unicodedata.category(letter))
)
_TEXTS = st.lists(
    st.lists(
        st.sampled_from(
            [
                *WORDS,
                *SPECIAL,
                " ",
                "\t",
                "[E1]",
                "[e1]",
                "newx",
                "NewX",
                "</s>",
                "\u3000",
                "GOOD",
                "CAF\u00c9",
                "e\u0301",
            ]
        )
        | _CHARACTERS
    ).map("".join),
    min_size=1,
    max_size=4,
)


@pytest.mark.slow
@pytest.mark.peers
def test_random_folders_are_read_as_transformers_reads_them_or_refused(tmp_path_factory):
    transformers = pytest.importorskip("transformers", reason="needs transformers")
    base, numbers, read = tmp_path_factory.mktemp("folders"), iter(range(10**9)), []

    @settings(
        max_examples=1500,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(files=_folders(), model_type=st.sampled_from(["bert", "electra", "distilbert"]), texts=_TEXTS)
    def check(files, model_type, texts):
        folder = write_folder(base / str(next(numbers)), files, model_type=model_type)
        try:
            tokenizer = _read(folder)
        except EncoderError:
            event("refused")
            return
        read.append(folder)
        theirs = transformers.AutoTokenizer.from_pretrained(folder)
        expected = answers(theirs)
        preprocessing = _unsaved(tokenizer.pieces)
        assert _answers(tokenizer, preprocessing) == expected
        assert _rows(preprocessing, texts) == [theirs(text)["input_ids"] for text in texts]

    check()
    # Most random folders contradict themselves; many must not.
    assert len(read) > 400
