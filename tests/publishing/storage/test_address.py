"""Addresses of storages: what is mistyped is refused, with what was meant; names that no bucket has are not written to."""

import os

import pytest
from botocore.utils import check_dns_name
from hypothesis import given
from hypothesis import strategies as st
from support.empty_export import write_export

from bert_serving.errors import PublishError
from bert_serving.names import S3_BUCKET
from bert_serving.publishing import publication
from bert_serving.publishing.storage.address import check_names
from bert_serving.publishing.storage.location import open_location


@pytest.mark.parametrize(
    ("address", "meant"),
    [
        *(("s3:/bucket", "s3://bucket"), ("s3:bucket/a", "s3://bucket/a"), ("s3//bucket", "s3://bucket")),
        *(("gs:\\\\bucket", "gs://bucket"), ("gs;//bucket", "gs://bucket"), ("s3 ://bucket", "s3://bucket")),
        *(("S3://bucket", "s3://bucket"), ("S3:/bucket", "s3://bucket"), ("s3:", "s3://bucket/models")),
        *((" s3://bucket", "s3://bucket"), ("s3://bucket/m\n", "s3://bucket/m"), ("s3:// bucket/m", "s3://bucket/m")),
        *(("s3://", "s3://bucket/models"), ("gs:///models", "gs://bucket/models"), ("az:/c", "az://c")),
    ],
)
def test_a_mistyped_address_is_refused_with_what_was_meant(address, meant, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PublishError, match=r"is not a URL|names no bucket") as caught:
        open_location(address)
    assert meant in str(caught.value)
    assert "\n" not in str(caught.value)
    assert os.listdir() == []


@pytest.mark.parametrize("address", ["https://bucket.s3.amazonaws.com/models", "HTTP://localhost:9000/bucket"])
def test_the_web_address_of_a_bucket_is_no_storage(address):
    with pytest.raises(PublishError, match="give the storage's own URL, such as s3://bucket/models"):
        open_location(address)


@pytest.mark.parametrize(
    "address", ["models", "./s3:/bucket", "s3/models", "runs:2/models", "gs_models", "/tmp/a b", "s3"]
)
def test_a_path_stays_a_path(address):
    location = open_location(address)
    assert location.folder is not None
    check_names(address)


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("s3://Bucket_X/models", "'Bucket_X' cannot name an S3 bucket: .*'bucket-x' would do"),
        ("s3://ab", "'ab' cannot name an S3 bucket: .*3 to 63 characters"),
        ("s3://192.168.5.4/m", "no IP address"),
        ("gs://Bucket_X", "'Bucket_X' cannot name a Google Cloud Storage bucket: .*'bucket_x' would do"),
        ("gs://" + "b" * 64, "64 characters, cannot name a Google"),
        ("az://my_models/x", "'my_models' cannot name an Azure container: .*'my-models' would do"),
        ("abfs://A@account.dfs.core.windows.net/x", "'A' cannot name an Azure container"),
        ("s3://key@bucket/m", "'key@bucket' cannot name an S3 bucket"),
        ("s3://bucket/../models", r"'\.\.' cannot be a part of a path"),
        ("s3://bucket//models", "'' cannot be a part of a path"),
    ],
)
def test_nothing_is_published_under_a_name_that_no_storage_has(address, problem, tmp_path):
    with pytest.raises(PublishError, match=problem):
        check_names(address)
    if address.startswith("s3"):  # the others' packages are slow to import, or not installed
        with pytest.raises(PublishError, match=problem):
            publication.publication_target(write_export(tmp_path / "1"), open_location(address))


def test_a_package_that_the_extra_does_not_bring_is_named_alone():
    with pytest.raises(PublishError, match="az://models: Install adlfs") as caught:
        open_location("az://models")
    assert "bert-serving[publish]" not in str(caught.value)


@pytest.mark.parametrize("name", ["", "../x", "a/b", "größe", "a b", ".hidden", "x" * 201])
def test_a_model_is_not_published_under_a_name_that_servers_refuse(name, tmp_path):
    export = write_export(tmp_path / "1")
    with pytest.raises(PublishError, match=r"cannot name a model: .* would do; give it with --name"):
        publication.publication_target(export, open_location(str(tmp_path / "models")), name=name)
    assert not (tmp_path / "models").exists()


@given(st.text("abAB01.-_ß", max_size=70))
def test_a_bucket_that_is_accepted_is_one_for_botocore(name):
    if S3_BUCKET.problem(name) is None and "." not in name:  # botocore wants none with dots in a host
        assert check_dns_name(name)
