"""Byte-level BPE of a Hugging Face folder: its files read together."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.byte_level import MASK, MERGES, PAIR, TEXTS, TOKENS, rules, template, vocabulary_files
from support.tokenizer_folders import added, changed, write_folder

from bert_serving.encoders.conversion.tokenizer import Tokenizer, read_tokenizer
from bert_serving.encoders.conversion.tokenizer_files import read_json
from bert_serving.errors import EncoderError
from bert_serving.saved_model.operations.audit import audit_operations
from bert_serving.text.byte_level_bpe import WordRules
from bert_serving.text.preprocessing import load_preprocessing
from bert_serving.text.vocabulary import SpecialIds

GENERIC = {"tokenizer_class": "PreTrainedTokenizerFast"}
ROBERTA = {"tokenizer_class": "RobertaTokenizer"}
# Without special tokens in them: for those transformers searches texts.
PLAIN_TEXTS = [text for text in TEXTS if MASK not in text]
NFC = {"type": "NFC"}


def read(folder: Path) -> Tokenizer:
    return read_tokenizer(folder, read_json(folder / "config.json"))


def write(folder: Path, *, model_type: str = "roberta", **files: Any) -> Path:
    named = {"rules": "tokenizer.json", "settings": "tokenizer_config.json"}
    contents = {named[key]: content for key, content in files.items()}
    return write_folder(folder, contents if "rules" in files else contents | vocabulary_files(), model_type=model_type)


def rows(tokenizer: Tokenizer, scratch: Path, texts: list[str], pairs: list[str] | None = None) -> list[list[int]]:
    tokenizer.pieces.write(scratch)
    words, _, offsets, _ = load_preprocessing(scratch).token_rows(texts, pairs, 200_000)
    return [row.tolist() for row in np.split(words, offsets[1:-1])]


def test_both_layouts_of_a_folder_give_the_same_tokenizer(tmp_path):
    one, other = read(write(tmp_path / "files")), read(write(tmp_path / "rules", rules=rules()))
    strings = changed(rules(), "model.merges", [" ".join(pair) for pair in MERGES])
    assert one == other == read(write(tmp_path / "strings", rules=strings))
    assert not one.pieces.lower_case
    assert one.pieces.size == len(TOKENS)


def test_a_preprocessing_of_it_frames_texts_as_roberta(tmp_path):
    found = read(write(tmp_path / "it"))
    first, second = (
        [TOKENS.index(token) for token in names] for names in (("t", "he", "\u0120good"), ("abc", "\u0120", "def"))
    )
    assert rows(found, tmp_path / "out", [PAIR[0]]) == [[0, *first, 2]]
    loaded = load_preprocessing(tmp_path / "out")
    words, types, _, uncut = loaded.token_rows([PAIR[0]], [PAIR[1]], 9)
    assert words.tolist() == [0, *first, 2, 2, *second[:2], 2]
    assert types.tolist() == [0] * 9
    assert uncut.tolist() == [10]
    assert loaded.special == SpecialIds(0, 2, 1, separators=2, second_type=0)
    assert loaded.vocabulary == len(TOKENS)
    audit = audit_operations(tmp_path / "out")
    assert (audit.needs_newer_than("2.12"), audit.missing, audit.unsafe) == ((), (), {})


@pytest.mark.parametrize(
    ("content", "settings", "expected"),
    [
        (rules(), {}, WordRules()),
        (rules(add_prefix_space=True), {}, WordRules()),
        (rules(), ROBERTA | {"add_prefix_space": True}, WordRules(add_prefix_space=True)),
        (rules(), GENERIC, WordRules()),
        (rules(add_prefix_space=True), GENERIC | {"add_prefix_space": True}, WordRules(add_prefix_space=True)),
        (rules() | {"normalizer": NFC}, GENERIC, WordRules(compose=True)),
        (rules() | {"normalizer": {"type": "Sequence", "normalizers": [NFC]}}, GENERIC, WordRules(compose=True)),
    ],
)
def test_the_class_decides_which_file_has_the_rules(tmp_path, content, settings, expected):
    assert read(write(tmp_path / "it", rules=content, settings=settings)).pieces.rules == expected


@pytest.mark.parametrize(
    ("processor", "expected"),
    [
        (template("<s>", "</s>", separators=2, second_type=0), (2, 0)),
        (template("<s>", "</s>", separators=1, second_type=1), (1, 1)),
    ],
)
def test_the_frame_of_a_pair_is_read_from_the_post_processor(tmp_path, processor, expected):
    folder = write(tmp_path / "it", rules=rules() | {"post_processor": processor}, settings=GENERIC)
    special = SpecialIds.from_names(read(folder).pieces.model.ids)
    assert (special.separators, special.second_type) == expected


def test_special_tokens_are_found_by_their_roles(tmp_path):
    names = {"<s>": "[CLS]", "</s>": "[SEP]", "<pad>": "[PAD]", "<unk>": "[UNK]", MASK: "[MASK]"}
    vocabulary = {names.get(token, token): number for number, token in enumerate(TOKENS)}
    content = changed(rules(), "model.vocab", vocabulary) | {
        "added_tokens": [added(name, id=number) for name, number in vocabulary.items() if name in names.values()]
    }
    content["post_processor"] = template("<s>", "</s>", separators=1, second_type=1) | {
        "special_tokens": {
            name: {"id": name, "ids": [vocabulary[names[name]]], "tokens": [names[name]]} for name in ("<s>", "</s>")
        }
    }
    roles = {
        "cls_token": "[CLS]",
        "sep_token": "[SEP]",
        "pad_token": "[PAD]",
        "unk_token": "[UNK]",
        "mask_token": "[MASK]",
    }
    found = read(write(tmp_path / "it", rules=content, settings=GENERIC | roles)).pieces.model.ids
    assert SpecialIds.from_names(found) == SpecialIds(0, 2, 1, separators=1, second_type=1)


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        ("normalizer", {"type": "Lowercase"}, 'normalizer is "Lowercase", only "NFC" can be converted'),
        ("normalizer", NFC, "its normalizer has 'NFC', but transformers 5 ignores it for RobertaTokenizer"),
        ("pre_tokenizer", {"type": "Metaspace"}, 'pre_tokenizer is "Metaspace", only "ByteLevel" can be converted'),
        ("pre_tokenizer", None, 'pre_tokenizer is null, only "ByteLevel" can be converted'),
        ("pre_tokenizer.use_regex", False, "pre_tokenizer.use_regex is false, only true can be converted"),
        ("model.dropout", 0.1, "model.dropout is 0.1, only null can be converted"),
        ("model.end_of_word_suffix", "</w>", 'model.end_of_word_suffix is "</w>", only "" can be converted'),
        ("model.byte_fallback", True, "model.byte_fallback is true, only false can be converted"),
        ("model.ignore_merges", True, "model.ignore_merges is true, only false can be converted"),
        ("model.merges", [["a"]], "cannot read its vocabulary: ValueError: a merge is 'a', expected two tokens"),
        ("model.merges", 3, "cannot read its vocabulary: TypeError: "),
        ("model.merges.0", ["a", "q7"], "cannot read its vocabulary: merge 1, 'a' and 'q7', has a token that is not"),
        ("model.vocab.a", 9, "cannot read its vocabulary: ValueError: '\u0105' and 'a' both have the id 9"),
        (
            "model.vocab.a",
            10**9,
            "cannot read its vocabulary: ValueError: the ids of 300 tokens go from 0 to 1000000000",
        ),
        ("model.vocab.a", "9", "cannot read its vocabulary: TypeError: "),
        ("model.vocab", 3, "cannot read its vocabulary: TypeError: "),
        ("post_processor", None, "post_processor is null with another frame than RoBERTa's"),
        (
            "post_processor.cls",
            ["<mask>", len(TOKENS) - 1],
            "uses '<mask>' as cls_token, but cls_token is '<s>' in the",
        ),
        (
            "post_processor",
            template("<s>", "</s>", separators=1, second_type=1),
            'post_processor is "TemplateProcessing" with another frame than RoBERTa\'s',
        ),
        (
            "added_tokens.0",
            added("<e1>", id=400),
            "gives the added token '<e1>' the id 400, expected 300, the next one",
        ),
        ("added_tokens.0.id", 7, "gives '<s>' the id 7, the vocabulary 0; transformers 4 and 5 differ"),
    ],
)
def test_rules_that_are_not_those_of_roberta_are_refused(tmp_path, path, value, problem):
    folder = write(tmp_path / "it", rules=changed(rules(), path, value))
    with pytest.raises(EncoderError) as raised:
        read(folder)
    assert str(raised.value).startswith(f"{folder / 'tokenizer.json'}: {problem}")


@pytest.mark.parametrize(
    ("settings", "content", "problem"),
    [
        (ROBERTA | {"cls_token": "<e1>"}, rules(), "/tokenizer.json: the vocabulary of 300 tokens lacks <e1>"),
        (ROBERTA | {"cls_token": "</s>"}, rules(), ": two special tokens are one: pad_token '<pad>', unk_token"),
        (ROBERTA | {"padding_side": "left"}, rules(), "/tokenizer_config.json: padding_side is 'left', only 'right'"),
        (
            GENERIC | {"add_prefix_space": False},
            rules(add_prefix_space=True),
            "/tokenizer_config.json: add_prefix_space is false, but the pre_tokenizer of tokenizer.json says true",
        ),
        (
            GENERIC,
            rules(add_prefix_space=True),
            "/tokenizer_config.json: add_prefix_space is false where the file does not tell, but the pre_tokenizer",
        ),
    ],
)
def test_files_that_contradict_each_other_are_refused(tmp_path, settings, content, problem):
    folder = write(tmp_path / "it", rules=content, settings=settings)
    with pytest.raises(EncoderError) as raised:
        read(folder)
    assert str(raised.value).startswith(f"{folder}{problem}")


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("vocab.json", None, "missing; a Hugging Face folder needs it"),
        ("merges.txt", None, "missing; byte-level BPE needs its merges"),
        ("merges.txt", "a b\n", "expected '#version' at its beginning and a newline at its end; without them versions"),
        ("merges.txt", "#version: 0.2\na b", "expected '#version' at its beginning and a newline at its end"),
        ("merges.txt", "#version: 0.2\na b c\n", "cannot read it: a merge is 'a b c', expected two tokens"),
        ("merges.txt", b"#version: 0.2\n\xff b\n", "cannot read it: 'utf-8' codec"),
    ],
)
def test_a_missing_or_damaged_file_is_told(tmp_path, name, content, problem):
    folder = write_folder(tmp_path / "it", vocabulary_files() | {name: content}, model_type="roberta")
    with pytest.raises(EncoderError) as raised:
        read(folder)
    assert str(raised.value).startswith(f"{folder / name}: {problem}")


def test_the_rules_of_a_generic_class_need_tokenizer_json(tmp_path):
    folder = write(tmp_path / "it", settings=GENERIC)
    with pytest.raises(EncoderError, match=r"tokenizer\.json: missing; tokenizer_class is 'PreTrainedTokenizer'"):
        read(folder)


@pytest.mark.peers
@pytest.mark.parametrize(
    ("content", "settings"),
    [
        (None, {}),
        (None, ROBERTA | {"add_prefix_space": True}),
        (rules(), ROBERTA),
        (rules(add_prefix_space=True), ROBERTA),
        (rules(), GENERIC),
        (rules() | {"normalizer": NFC}, GENERIC),
    ],
)
def test_token_ids_are_those_that_transformers_gives(tmp_path, content, settings):
    transformers = pytest.importorskip("transformers", reason="needs transformers")
    files = {"settings": settings} | ({} if content is None else {"rules": content})
    folder = write(tmp_path / "it", **files)
    theirs = transformers.AutoTokenizer.from_pretrained(folder)
    found = read(folder)
    assert rows(found, tmp_path / "1", PLAIN_TEXTS) == [theirs(text)["input_ids"] for text in PLAIN_TEXTS]
    assert rows(found, tmp_path / "2", [PAIR[0]], [PAIR[1]]) == [theirs(*PAIR)["input_ids"]]
