"""Which names other systems accept, and what is proposed for those that they refuse."""

import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from bert_serving.names import (
    AZURE_CONTAINER,
    GCS_BUCKET,
    HIGHEST_VERSION,
    INFERENCE_SERVICE,
    MODEL,
    NAMESPACE,
    S3_BUCKET,
    version_number,
)

RULES = (MODEL, NAMESPACE, INFERENCE_SERVICE, S3_BUCKET, GCS_BUCKET, AZURE_CONTAINER)


# === Versions ===


def as_tensorflow_reads(name):
    """TensorFlow's own reading of an int64, which TensorFlow Serving applies to names of folders; None where it refuses."""
    try:
        return int(tf.strings.to_number(name, tf.int64))
    except (tf.errors.InvalidArgumentError, UnicodeEncodeError):
        return None


@pytest.mark.parametrize(
    ("name", "number"),
    [
        *(("7", 7), ("00000123", 123), ("0", 0), ("000", 0), (" 5", 5), ("5 ", 5), ("+5", 5), ("-0", 0), ("5\t", 5)),
        *((str(HIGHEST_VERSION), HIGHEST_VERSION), (f"000{HIGHEST_VERSION}", HIGHEST_VERSION)),
        *(
            (name, None)
            for name in (str(2**63), "9" * 5000, "-1", "-00001", "", " ", "+", "5.0", "1e3", "0x1f", "1_000")
        ),
        *((name, None) for name in ("１２", "²", "٦", "v4", "3.tmp", "5 6", "+ 5", "--5", "\xa05", "5\0", ".tmp-5-x")),
    ],
)
def test_a_version_number_is_what_tensorflow_reads(name, number):
    assert version_number(name) == number
    read = as_tensorflow_reads(name)
    assert read == number if read is None or read >= 0 else number is None


almost_numbers = st.text(st.sampled_from("0123456789+-_. \t\n\v\x1c\x85\xa0e٦２²"), max_size=24)


def agrees_with_tensorflow(name):
    read = as_tensorflow_reads(name)
    assert version_number(name) == (None if read is None or read < 0 else read)


@given(almost_numbers | st.integers(-(2**70), 2**70).map(str) | st.text(max_size=8))
def test_any_name_is_read_as_tensorflow_reads_it(name):
    agrees_with_tensorflow(name)


@pytest.mark.slow
@settings(max_examples=5000, deadline=None)
@given(almost_numbers | st.integers(-(2**70), 2**70).map(str) | st.text(max_size=8))
def test_thousands_of_names_are_read_as_tensorflow_reads_them(name):
    agrees_with_tensorflow(name)


# === Rules ===


@pytest.mark.parametrize(
    ("rule", "name"),
    [
        *((MODEL, name) for name in ("a", "Bike_Shop", "2024", "a..b", "a-", "x" * 200)),
        *((NAMESPACE, name) for name in ("a", "2024", "a--b", "x" * 63)),
        *((INFERENCE_SERVICE, name) for name in ("a", "m-1", "x" * 63)),
        *((S3_BUCKET, name) for name in ("abc", "1-2", "my.bucket", "a--b", "x" * 63)),
        *((GCS_BUCKET, name) for name in ("abc", "a_b", "1.example.com")),
        *((AZURE_CONTAINER, name) for name in ("abc", "a-b-c", "007")),
    ],
)
def test_a_name_that_its_system_takes_is_accepted(rule, name):
    assert rule.problem(name) is None


@pytest.mark.parametrize(
    ("rule", "name", "proposal"),
    [
        (MODEL, "Größe", "grosse"),
        (MODEL, "a/b c", "a-b-c"),
        (MODEL, "_a_", "a"),
        (MODEL, "情感", "my-model"),
        (MODEL, "", "my-model"),
        (MODEL, "x" * 201, "x" * 200),
        (NAMESPACE, "Bike_Shop.v2", "bike-shop-v2"),
        (NAMESPACE, "a" * 62 + "-b", "a" * 62),
        (NAMESPACE, "emotion-", "emotion"),
        (NAMESPACE, "a\n", "a"),
        (INFERENCE_SERVICE, "2024_emotion", "m-2024-emotion"),
        (INFERENCE_SERVICE, "bike_shop", "bike-shop"),
        (S3_BUCKET, "Bucket_X", "bucket-x"),
        (S3_BUCKET, "ab", "my-model"),
        (S3_BUCKET, "a..b", "a.b"),
        (S3_BUCKET, "192.168.5.4", "m-192.168.5.4"),
        (S3_BUCKET, "xn--abc", "xn-abc"),
        (S3_BUCKET, "x" * 64, "x" * 63),
        (GCS_BUCKET, "Bucket_X", "bucket_x"),
        (GCS_BUCKET, "goog-models", "m-goog-models"),
        (GCS_BUCKET, "my-google-models", "my-model"),
        (AZURE_CONTAINER, "a--b", "a-b"),
        (AZURE_CONTAINER, "my.models", "my-models"),
    ],
)
def test_a_refused_name_comes_with_one_that_would_do(rule, name, proposal):
    problem = rule.problem(name)
    assert problem.startswith(f"{name!r}"[:100])
    assert f"cannot name {rule.what}: {rule.rule}" in problem
    assert problem.endswith(f"{proposal!r} would do")
    assert (f"{len(name)} characters, cannot" in problem) == (len(name) > rule.longest)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.what)
@given(name=st.text(max_size=80) | st.text("abAB019-_./ ß", max_size=80))
def test_what_is_proposed_is_accepted_itself(rule, name):
    problem = rule.problem(name, longest=20)
    if problem is None:
        assert len(name) <= 20
    else:
        assert "\n" not in problem
        assert rule.problem(problem.rsplit("; ", 1)[1].removesuffix(" would do").strip("'"), longest=20) is None
