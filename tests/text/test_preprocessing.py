"""The preprocessing SavedModel: TF Hub's interface outside, Hugging Face's token ids inside."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
import tensorflow_hub as hub
import tf_keras
from support.cases import slow_but
from support.paths import RECORDED
from support.tiny import VOCABULARY

from bert_serving import contract
from bert_serving.errors import EncoderError
from bert_serving.text.preprocessing import Preprocessing, load_preprocessing, write_preprocessing

REFERENCE = json.loads((RECORDED / "minilm_reference.json").read_text("utf-8"))
TOKENS = (*VOCABULARY, "e", "##e", "E", "É", "ss", "ß", "ı", "i", "bi", "##ke", "好", "吃", "!", "Good")


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[bool, Path]:
    """SavedModels that lower-case and do not, moved after they were written; nothing is left where they were made."""
    base = tmp_path_factory.mktemp("preprocessing")
    (base / "made").mkdir()
    (base / "made/vocab.txt").write_text("".join(f"{token}\n" for token in TOKENS), "utf-8")
    for lower_case in (True, False):
        write_preprocessing(base / "made/vocab.txt", base / f"made/{lower_case}", lower_case=lower_case)
        shutil.move(base / f"made/{lower_case}", base / str(lower_case))
    shutil.rmtree(base / "made")
    return {lower_case: base / str(lower_case) for lower_case in (True, False)}


@pytest.fixture(scope="module")
def lower(folders) -> Preprocessing:
    return load_preprocessing(folders[True])


@pytest.fixture(scope="module")
def cased(folders) -> Preprocessing:
    return load_preprocessing(folders[False])


@pytest.fixture(scope="module")
def minilm(minilm_folder, tmp_path_factory) -> Preprocessing:
    target = tmp_path_factory.mktemp("minilm") / "preprocessing"
    write_preprocessing(minilm_folder / "vocab.txt", target, lower_case=True)
    return load_preprocessing(target)


def pieces(preprocessing: Preprocessing, text: str | bytes) -> list[str]:
    """The word pieces of one text, without its frame."""
    return [TOKENS[number] for number in preprocessing.segment(tf.constant([text])).flat_values.numpy()]


def rows_of(preprocessing: Preprocessing, texts, pairs=None, length=128) -> list[list[int]]:
    words, _, offsets, _ = preprocessing.token_rows(texts, pairs, length)
    return [row.tolist() for row in np.split(words, offsets[1:-1])]


# === TF Hub's interface ===


@pytest.mark.slow
def test_the_tutorials_calls_work_through_hub_keras_layers(folders):
    inputs = tf_keras.layers.Input((), dtype=tf.string)
    whole = tf_keras.Model(inputs, hub.KerasLayer(str(folders[True]))(inputs))
    packed = whole(tf.constant(["good film", "the bike is not good"]))
    assert packed.keys() == set(contract.TOKEN_INPUTS)
    assert {(tensor.shape, tensor.dtype) for tensor in packed.values()} == {((2, 128), tf.int32)}
    assert packed[contract.WORD_IDS][0, :5].numpy().tolist() == [2, 5, 7, 3, 0]

    preprocessor = hub.load(str(folders[True]))
    segments = [tf_keras.layers.Input((), dtype=tf.string, name=name) for name in ("first", "second")]
    tokenize = hub.KerasLayer(preprocessor.tokenize)
    pack = hub.KerasLayer(preprocessor.bert_pack_inputs, arguments={"seq_length": 9})
    model = tf_keras.Model(segments, pack([tokenize(segment) for segment in segments]))
    packed = model([tf.constant(["the very good film"]), tf.constant(["the very very bad bike wheel"])])
    assert packed[contract.WORD_IDS].numpy().tolist() == [[2, 9, 12, 5, 3, 9, 12, 12, 3]]
    assert packed[contract.TYPE_IDS].numpy().tolist() == [[0, 0, 0, 0, 0, 1, 1, 1, 1]]


def test_packing_defaults_to_128_tokens(lower):
    packed = lower.model.bert_pack_inputs([lower.model.tokenize(tf.constant(["good"]))])
    assert packed[contract.WORD_IDS].shape == (1, 128)


def test_special_tokens_are_told_as_tf_hub_wants(lower):
    told = {name: int(value) for name, value in lower.model.tokenize.get_special_tokens_dict().items()}
    assert told == {
        "start_of_sequence_id": 2,
        "end_of_segment_id": 3,
        "padding_id": 0,
        "mask_id": 4,
        "vocab_size": len(TOKENS),
    }
    assert (lower.special.start_of_sequence, lower.special.end_of_segment, lower.special.padding) == (2, 3, 0)


def test_the_vocabulary_travels_with_the_saved_model(folders, lower):
    asset = folders[True] / "assets" / "vocab.txt"
    assert asset.read_text("utf-8").split("\n")[:-1] == list(TOKENS)
    assert pieces(lower, "good") == ["good"]


def test_a_loaded_saved_model_can_be_saved_again_and_moved(lower, tmp_path):
    tf.saved_model.save(lower.model, str(tmp_path / "first"))
    shutil.move(tmp_path / "first", tmp_path / "second")
    assert pieces(load_preprocessing(tmp_path / "second"), "good bike") == ["good", "bike"]


# === What becomes of a text ===

CASES = [
    ("", []),
    (" \t\r\n\v ", []),
    ("good film", ["good", "film"]),
    ("goodly biker", ["good", "##ly", "[UNK]"]),
    ("good!film", ["good", "!", "film"]),
    (b"go\xffod \xf0\x9f film", ["good", "film"]),
    (b"\xff\xfe", []),
    ("go\x07od\x1b \x7ffilm\x85", ["good", "film"]),
    ("go\x00od", ["good"]),
    ("go\u200bod fi\u00adlm \ufeffbike", ["good", "film", "bike"]),
    ("go\ufffdod", ["good"]),
    ("good\u00a0film\u3000bike\u2003the\u2028is", ["good", "film", "bike", "the", "is"]),
    ("好吃good", ["好", "吃", "good"]),
    ("好，吃", ["好", "[UNK]", "吃"]),
    ("x" * 300, ["[UNK]"]),
    ("[CLS] [SEP]", ["[UNK]"] * 6),
]


@pytest.mark.parametrize(("text", "expected"), CASES)
@pytest.mark.parametrize("lower_case", [True, False])
def test_a_text_is_cleaned_before_it_is_split(lower, cased, lower_case, text, expected):
    assert pieces(lower if lower_case else cased, text) == expected


@pytest.mark.parametrize(
    ("text", "lowered", "kept"),
    [
        ("Good GOOD", ["good", "good"], ["Good", "[UNK]"]),
        ("é e\u0301 E É", ["e", "e", "e", "e"], ["[UNK]", "[UNK]", "E", "É"]),
        ("ß ẞ", ["ß", "ß"], ["ß", "[UNK]"]),
        ("İ I ı", ["i", "i", "ı"], ["[UNK]", "[UNK]", "ı"]),
    ],
)
def test_case_and_accents_go_for_uncased_encoders_only(lower, cased, text, lowered, kept):
    assert pieces(lower, text) == lowered
    assert pieces(cased, text) == kept


LETTERS = "กขคงจ"


@pytest.fixture(scope="module")
def thai(tmp_path_factory) -> Path:
    """A vocabulary of some Thai letters, which UTF-8 writes with three bytes each."""
    path = tmp_path_factory.mktemp("thai") / "vocab.txt"
    tokens = [*VOCABULARY[:5], *LETTERS, *(f"##{letter}" for letter in LETTERS), "a", "##a", "."]
    path.write_text("".join(f"{token}\n" for token in tokens), "utf-8")
    return path


def thai_word(length: int) -> str:
    return "".join(LETTERS[place % len(LETTERS)] for place in range(length))


@pytest.mark.parametrize("lower_case", slow_but([True, False], kept=[True]))
def test_a_word_may_have_a_hundred_characters_in_any_script(thai, tmp_path, lower_case):
    write_preprocessing(thai, tmp_path / "out", lower_case=lower_case)
    preprocessing = load_preprocessing(tmp_path / "out")
    for length in (33, 34, 99, 100):
        words = preprocessing.segment(tf.constant([f"{thai_word(length)}.{'a' * length}"]))
        assert words.row_lengths(axis=2).to_list() == [[length, 1, length]]
        assert 1 not in words.flat_values.numpy()
    for length in (101, 400, 401, 5000):
        words = preprocessing.segment(tf.constant([f"{thai_word(length)}.a {'a' * length}"]))
        assert words.to_list()[0][::3] == [[1], [1]]
        assert words.row_lengths(axis=2).to_list() == [[1, 1, 1, 1]]


@pytest.mark.peers
@pytest.mark.parametrize("lower_case", [True, False])
def test_long_words_are_cut_as_hugging_face_cuts_them(thai, tmp_path, lower_case):
    transformers = pytest.importorskip("transformers")
    tokenizer = transformers.BertTokenizer(str(thai), do_lower_case=lower_case)
    write_preprocessing(thai, tmp_path / "out", lower_case=lower_case)
    preprocessing = load_preprocessing(tmp_path / "out")
    for length in (1, 33, 34, 99, 100, 101, 134, 400, 401):
        text = f"{thai_word(length)} {'a' * length}.{thai_word(length)}"
        assert rows_of(preprocessing, [text], length=2000) == [tokenizer(text)["input_ids"]], length


@pytest.mark.slow
def test_the_processes_locale_changes_nothing(folders):
    """In a Turkish locale Unicode's lower case of "I" is a dotless one."""
    script = (
        "import sys; from pathlib import Path; from bert_serving.text.preprocessing import load_preprocessing;"
        "print(load_preprocessing(Path(sys.argv[1])).token_rows(['BIKE IS'], None, 16)[0].tolist())"
    )
    environment = os.environ | {"LC_ALL": "tr_TR.UTF-8", "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-c", script, str(folders[True])]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [2, TOKENS.index("bike"), TOKENS.index("is"), 3]


# === Many texts at once ===


def test_many_texts_are_cut_and_counted(lower):
    words, types, offsets, uncut = lower.token_rows(["good film", "", "very " * 30], None, 10)
    assert offsets.tolist() == [0, 4, 6, 16]
    assert uncut.tolist() == [4, 2, 32]
    assert words[:6].tolist() == [2, 5, 7, 3, 2, 3]
    assert (words.dtype, types.dtype, uncut.dtype) == (np.int32, np.int32, np.int64)
    assert not types.any()


def test_pairs_are_cut_and_counted_together(lower):
    words, types, offsets, uncut = lower.token_rows(["good", "very " * 9], ["the bad film", "is " * 9], 12)
    assert offsets.tolist() == [0, 7, 19]
    assert uncut.tolist() == [7, 21]
    assert types.tolist() == [0, 0, 0, 1, 1, 1, 1] + [0] * 7 + [1] * 5
    assert words[:7].tolist() == [2, 5, 3, 9, 6, 7, 3]


def test_more_texts_than_a_tokenization_batch_stay_in_order(lower):
    texts = [("good", "very bad", "")[number % 3] for number in range(2500)]
    expected = [([2, 5, 3], [2, TOKENS.index("very"), 6, 3], [2, 3])[number % 3] for number in range(2500)]
    assert rows_of(lower, texts, length=8) == expected


@pytest.mark.parametrize("pairs", [None, []])
def test_no_texts_make_no_rows(lower, pairs):
    words, types, offsets, uncut = lower.token_rows([], pairs, 16)
    assert (len(words), len(types), offsets.tolist(), len(uncut)) == (0, 0, [0], 0)


# === Other preprocessing ===


class _SpecialTokens(tf.Module):
    @tf.function(input_signature=[])
    def __call__(self):
        return {"start_of_sequence_id": 300, "end_of_segment_id": 301, "padding_id": 302}


class _FlatTokenizer(tf.Module):
    """Tokens without words, int32 [B, (tokens)], as SentencePiece preprocessing gives them; here one for each byte."""

    def __init__(self):
        super().__init__()
        self.get_special_tokens_dict = _SpecialTokens()

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def __call__(self, sentences):
        characters = tf.strings.bytes_split(sentences)
        codes = tf.cast(tf.io.decode_raw(characters.flat_values, tf.uint8)[:, 0], tf.int32)
        return characters.with_flat_values(codes)


def test_a_tokenizer_that_knows_no_words_is_used_as_well(tmp_path):
    module = tf.Module()
    module.tokenize = _FlatTokenizer()
    tf.saved_model.save(module, str(tmp_path / "flat"))
    words, types, offsets, uncut = load_preprocessing(tmp_path / "flat").token_rows(["abcd", ""], ["", "a"], 6)
    assert words.tolist() == [300, 97, 98, 99, 301, 301, 300, 301, 97, 301]
    assert types.tolist() == [0, 0, 0, 0, 0, 1, 0, 0, 1, 1]
    assert (offsets.tolist(), uncut.tolist()) == ([0, 6, 10], [7, 4])


def test_a_folder_without_a_saved_model_is_named(tmp_path):
    with pytest.raises(EncoderError) as raised:
        load_preprocessing(tmp_path)
    assert str(raised.value).startswith(f"{tmp_path}: no preprocessing SavedModel here (saved_model.pb is missing)")


def test_a_damaged_saved_model_is_named(folders, tmp_path):
    shutil.copytree(folders[True], tmp_path / "damaged")
    (tmp_path / "damaged/saved_model.pb").write_bytes(b"\x00garbage")
    with pytest.raises(EncoderError, match="cannot load the preprocessing SavedModel: ") as raised:
        load_preprocessing(tmp_path / "damaged")
    assert "\n" not in str(raised.value)


def test_a_missing_vocabulary_asset_is_named(folders, tmp_path):
    shutil.copytree(folders[True], tmp_path / "damaged")
    (tmp_path / "damaged/assets/vocab.txt").unlink()
    with pytest.raises(EncoderError, match="cannot load the preprocessing SavedModel: ") as raised:
        load_preprocessing(tmp_path / "damaged")
    assert "\n" not in str(raised.value)


def test_another_saved_model_is_refused(tmp_path):
    module = tf.Module()
    module.double = tf.function(lambda x: x + x, input_signature=[tf.TensorSpec([], tf.float32)])
    tf.saved_model.save(module, str(tmp_path / "other"))
    with pytest.raises(EncoderError, match="not a text preprocessing SavedModel of TF Hub's format: "):
        load_preprocessing(tmp_path / "other")


# === Hugging Face's tokenizer ===


def test_token_ids_are_those_that_hugging_face_gave(minilm):
    texts = [entry["text"] for entry in REFERENCE["texts"]]
    ours = rows_of(minilm, texts, length=REFERENCE["sequence_length"])
    differing = [text for text, row, entry in zip(texts, ours, REFERENCE["texts"], strict=True) if row != entry["ids"]]
    assert differing == []


def test_token_ids_of_pairs_are_those_that_hugging_face_gave(minilm):
    first, second = zip(*(entry["texts"] for entry in REFERENCE["pairs"]), strict=True)
    words, types, offsets, _ = minilm.token_rows(first, second, REFERENCE["sequence_length"])
    for start, end, entry in zip(offsets[:-1], offsets[1:], REFERENCE["pairs"], strict=True):
        assert words[start:end].tolist() == entry["ids"]
        assert types[start:end].tolist() == entry["type_ids"]


def test_special_tokens_in_a_text_are_plain_text_here(minilm):
    """Hugging Face takes them as what they stand for, which lets a text forge its own frame."""
    [row] = rows_of(minilm, ["[SEP]"])
    assert row == [101, 1031, 19802, 1033, 102]


# === The same, live, on real texts ===


@pytest.mark.peers
@pytest.mark.parametrize("pattern", ["emotion/*.tsv", "imdb/*.tsv.gz", "sib200/*/*.tsv", "waimai_10k/*.tsv"])
def test_token_ids_of_all_real_texts_are_those_of_hugging_face(minilm, minilm_folder, shared_data, pattern):
    transformers = pytest.importorskip("transformers")
    files = sorted(shared_data.glob(pattern))
    assert files
    tables = [pd.read_csv(file, sep="\t", quoting=3, keep_default_na=False, dtype=str) for file in files]
    texts = [text for table in tables for text in table["text"]]
    tokenizer = transformers.AutoTokenizer.from_pretrained(minilm_folder)
    theirs = tokenizer(texts, truncation=True, max_length=512)["input_ids"]
    ours = rows_of(minilm, texts, length=512)
    differing = [text for text, mine, other in zip(texts, ours, theirs, strict=True) if mine != other]
    assert differing == []
