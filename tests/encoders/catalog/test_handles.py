import re

import pytest

from bert_serving.encoders.catalog.catalog import CATALOG
from bert_serving.encoders.catalog.handles import cache_key, canonical, find_handle
from bert_serving.encoders.download.hugging_face_hub import HuggingFaceSource
from bert_serving.encoders.download.tf_hub import TFHubSource
from bert_serving.encoders.license import LicenseAndLanguages
from bert_serving.errors import EncoderError

SMALL = "small_bert/bert_en_uncased_L-4_H-512_A-8"
PREPROCESSING = "https://tfhub.dev/tensorflow/bert_en_uncased_preprocess/3"


@pytest.mark.parametrize(
    "name",
    [
        SMALL,
        SMALL.upper(),
        f"https://tfhub.dev/tensorflow/{SMALL}/1",
        f"https://tfhub.dev/tensorflow/{SMALL}/2",
        f"http://www.tfhub.dev/tensorflow/{SMALL}/1/?tf-hub-format=compressed",
        "https://www.kaggle.com/models/tensorflow/bert/TensorFlow2/bert-en-uncased-l-4-h-512-a-8/1",
        "https://kaggle.com/models/tensorflow/bert/frameworks/TensorFlow2/variations/bert-en-uncased-l-4-h-512-a-8/versions/2",
        "https://www.kaggle.com/models/tensorflow/bert/TensorFlow2/bert-en-uncased-l-4-h-512-a-8/1?tfhub-redirect=true",
        "tensorflow/bert/tensorFlow2/bert-en-uncased-l-4-h-512-a-8/1",
        "tensorflow/bert/TensorFlow2/bert-en-uncased-l-4-h-512-a-8/1",
        "google/bert_uncased_L-4_H-512_A-8",
        "hf://google/bert_uncased_L-4_H-512_A-8",
        "hf://google/bert_uncased_L-4_H-512_A-8@main",
    ],
)
def test_all_names_of_one_encoder_share_one_entry_of_the_cache(name):
    handle = find_handle(name)
    assert (handle.name, handle.sources[-3:]) == (SMALL, CATALOG[SMALL].sources)
    assert cache_key(handle) == "small_bert_bert_en_uncased_L-4_H-512_A-8-v4"
    assert handle.licensing == LicenseAndLanguages("apache-2.0", ("en",))


def test_two_models_whose_names_are_easily_confused_are_two():
    base = find_handle("tensorflow/bert/tensorFlow2/en-uncased-l-12-h-768-a-12/3")
    small = find_handle("tensorflow/bert/tensorFlow2/bert-en-uncased-l-12-h-768-a-12/1")
    assert base.name == "bert_en_uncased_L-12_H-768_A-12"
    assert small.name == "small_bert/bert_en_uncased_L-12_H-768_A-12"


def test_sources_are_tried_in_order_tf_hub_kaggle_hugging_face():
    hub, kaggle, mirror = find_handle(SMALL).sources
    assert hub == TFHubSource(encoder=f"https://tfhub.dev/tensorflow/{SMALL}/1", preprocessing=PREPROCESSING)
    assert kaggle.encoder == "tensorflow/bert/tensorFlow2/bert-en-uncased-l-4-h-512-a-8/1"
    assert kaggle.preprocessing == "tensorflow/bert/tensorFlow2/en-uncased-preprocess/3"
    assert mirror == HuggingFaceSource(repository="google/bert_uncased_L-4_H-512_A-8")


def test_a_kaggle_page_is_asked_itself_and_then_its_interface_for_programs():
    address = "https://www.kaggle.com/models/lab/mini/tensorFlow2/tiny/2"
    page, program = find_handle(address, PREPROCESSING).sources
    assert page == TFHubSource(encoder=address, preprocessing=PREPROCESSING)
    assert program == TFHubSource(encoder="lab/mini/tensorFlow2/tiny/2", preprocessing=PREPROCESSING)
    assert str(program) == "Kaggle model lab/mini/tensorFlow2/tiny/2"


@pytest.mark.parametrize(
    ("name", "repository", "revision"),
    [
        ("hf://lab/mini", "lab/mini", "main"),
        ("hf://lab/mini@v1.0", "lab/mini", "v1.0"),
        ("hf://lab/mini.en@refs/pr/1", "lab/mini.en", "refs/pr/1"),
    ],
)
def test_a_repository_of_hugging_face_may_name_a_revision(name, repository, revision):
    handle = find_handle(name)
    assert handle.sources == (HuggingFaceSource(repository=repository, revision=revision),)
    assert handle.licensing == LicenseAndLanguages()


def test_an_archive_may_carry_its_digest():
    [source] = find_handle(f"https://models.example/mini.tar.gz#sha256={'A' * 64}").sources
    assert source == TFHubSource(encoder="https://models.example/mini.tar.gz", sha256="a" * 64)


@pytest.mark.parametrize(
    ("name", "preprocessing"),
    [
        (f"https://tfhub.dev/tensorflow/{SMALL}/2", PREPROCESSING),
        (
            "tensorflow/bert/tensorFlow2/bert-en-uncased-l-4-h-512-a-8/2",
            "tensorflow/bert/tensorFlow2/en-uncased-preprocess/3",
        ),
    ],
)
def test_another_spelling_than_the_catalogs_is_looked_for_first(name, preprocessing):
    first, *rest = find_handle(name).sources
    assert first == TFHubSource(encoder=name, preprocessing=preprocessing)
    assert tuple(rest) == CATALOG[SMALL].sources


def test_a_preprocessing_of_ones_own_takes_an_address_out_of_the_catalog():
    address, own = f"https://tfhub.dev/tensorflow/{SMALL}/1", "https://models.example/mine/1"
    handle = find_handle(address, own)
    assert handle.sources == (TFHubSource(encoder=address, preprocessing=own),)
    assert handle.name == address
    assert cache_key(handle) != cache_key(find_handle(address))
    for theirs in (PREPROCESSING, f"{PREPROCESSING}?tf-hub-format=compressed", CATALOG[SMALL].sources[1].preprocessing):
        assert find_handle(address, theirs) == find_handle(address)


def test_an_archives_digest_belongs_to_its_place_in_the_cache():
    first, second = (f"sha256={letter * 64}" for letter in "ab")
    address, tokens = "https://models.example/mini/1", "https://models.example/tokens/1"
    given = [
        (address, tokens),
        (f"{address}#{first}", tokens),
        (f"{address}#{second}", tokens),
        (address, f"{tokens}#{first}"),
        (f"{address}#{first}", f"{tokens}#{first}"),
    ]
    handles = [find_handle(*each) for each in given]
    assert len({cache_key(handle) for handle in handles}) == len(given)
    assert handles[-1].sources == (
        TFHubSource(encoder=address, preprocessing=tokens, sha256="a" * 64, preprocessing_sha256="a" * 64),
    )
    # Of an address that the catalog knows it is not lost either.
    known = find_handle(f"https://tfhub.dev/tensorflow/{SMALL}/1#{first}")
    assert known.sources == (
        TFHubSource(encoder=f"https://tfhub.dev/tensorflow/{SMALL}/1", preprocessing=PREPROCESSING, sha256="a" * 64),
    )


def test_a_repository_of_hugging_face_takes_no_other_preprocessing():
    with pytest.raises(EncoderError, match="'hf://lab/mini' brings its own preprocessing; leave out"):
        find_handle("hf://lab/mini", PREPROCESSING)


def test_keys_of_the_cache_are_plain_and_differ_for_different_handles():
    names = [
        *CATALOG,
        "hf://lab/mini",
        "hf://lab/mini@v1",
        "hf://lab_mini/x",
        "https://models.example/mini/1",
        "https://models.example/mini_1",
        "https://models.example/" + "x" * 300,
    ]
    keys = [cache_key(find_handle(name)) for name in names]
    assert len(set(keys)) == len(keys)
    assert all(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}", key) for key in keys)
    assert cache_key(find_handle("https://m.example/1", "https://m.example/2")) != cache_key(
        find_handle("https://m.example/1", "https://m.example/3")
    )


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("hf://lab", "'hf://lab' is not a Hugging Face repository; expected hf://owner/name"),
        ("hf://lab/../mini", "is not a Hugging Face repository"),
        ("hf://lab/mini@", "is not a Hugging Face repository"),
        (
            "ftp://models.example/mini",
            "'ftp://models.example/mini' cannot be fetched; give an address that begins with",
        ),
        ("https://m.example/a.zip#md5=1", "after # expected sha256= with 64 hexadecimal digits, got 'md5=1'"),
        ("lab/mini", "the catalog has no encoder 'lab/mini'"),
        (
            "google/electra/tensorFlow2/small",
            "names no version of the model; add one, such as google/electra/tensorFlow2/small/1",
        ),
        ("https://www.kaggle.com/models/google/electra/frameworks/TensorFlow2/variations/small/", "variations/small/1"),
        ("small_bert/bert_en_uncased_L-3_H-512_A-8", "did you mean small_bert/bert_en_uncased_L-"),
    ],
)
def test_what_is_no_handle_is_told(name, problem):
    with pytest.raises(EncoderError, match=re.escape(problem)) as raised:
        find_handle(name)
    assert "\n" not in str(raised.value)


def test_another_spelling_of_no_known_place_stays_as_it_is():
    assert canonical("https://models.example/Mini/1?a=b") == "https://models.example/Mini/1?a=b"
