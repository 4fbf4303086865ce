"""Addresses of storages as people type them: URLs and paths, and whether a storage accepts their names."""

import re

from bert_serving import names
from bert_serving.errors import PublishError

_BUCKETS = {
    **dict.fromkeys(("s3", "s3a"), names.S3_BUCKET),
    **dict.fromkeys(("gs", "gcs"), names.GCS_BUCKET),
    **dict.fromkeys(("az", "abfs", "abfss"), names.AZURE_CONTAINER),
}
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/]*)(.*)", re.DOTALL)
_MISTYPED = re.compile(rf"\s*({'|'.join(_BUCKETS)})\s*(?:[:;][\\/]*|//+)\s*(.*?)\s*", re.IGNORECASE | re.DOTALL)


def check_address(address: str) -> None:
    """Refuses a mistyped URL of an object storage, which would otherwise be read as a folder or as another name.

    Raises:
        PublishError: it has blanks around it or capitals in its scheme, slashes are missing, it names no bucket, or it is
            that of a web page.
    """
    match = _URL.fullmatch(address.strip())
    if match is not None and match[1].lower() in ("http", "https"):
        raise PublishError(f"{address!r}: HTTP has no folders; give the storage's own URL, such as s3://bucket/models")
    if match is None or match[1].lower() not in _BUCKETS:
        if match := _MISTYPED.fullmatch(address):
            meant = f"{match[1].lower()}://{match[2] or 'bucket/models'}"
            raise PublishError(
                f"{address!r} is not a URL; give {meant}, or ./{address.strip()} for a folder of that name"
            )
        return
    scheme, bucket, path = match.groups()
    if not bucket:
        raise PublishError(f"{address!r} names no bucket; give a URL such as {scheme.lower()}://bucket/models")
    meant = f"{scheme.lower()}://{bucket.strip()}{path}"
    if address != meant:
        raise PublishError(f"{address!r} is not a URL as storages read it; give {meant}")


def check_names(address: str) -> None:
    """Checks the names in the URL of an object storage before anything is written there; a path has none to check.

    Raises:
        PublishError: the storage does not accept the name of the bucket, or a part of the path is empty or made of dots.
    """
    match = _URL.fullmatch(address)
    if match is None or match[1] not in _BUCKETS:
        return
    scheme, bucket, path = match.groups()
    if scheme.startswith("abfs"):
        bucket = bucket.partition("@")[0]  # the account is named after the container
    # The access points of S3 have other names.
    if not bucket.startswith("arn:") and (problem := _BUCKETS[scheme].problem(bucket)):
        raise PublishError(f"{address}: {problem}")
    inner = path.removeprefix("/").rstrip("/")
    if wrong := [part for part in inner.split("/") if inner and part in ("", ".", "..")]:
        raise PublishError(f"{address}: {wrong[0]!r} cannot be a part of a path there; leave it out")
