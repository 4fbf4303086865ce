"""An S3 API on loopback: moto's server, in a thread of the tests."""

import functools
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import boto3
import s3fs
from moto.server import ThreadedMotoServer

BUCKET = "models"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": "us-east-1"}


@contextmanager
def running_storage() -> Iterator[str]:
    """A storage with one empty bucket; yields its address. The environment leads there until the block ends."""
    # A line for each request would bury what a failed test has to say.
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    # Nothing of the machine's own settings may lead to a real account.
    own = {"AWS_ENDPOINT_URL": address, "AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    with mock.patch.dict(os.environ, CREDENTIALS | own | {"AWS_EC2_METADATA_DISABLED": "true"}):
        forget_connections()
        _bucket().create()
        remove_objects("")  # moto keeps objects for as long as the process runs
        yield address
    forget_connections()
    server.stop()


def forget_connections() -> None:
    """Connections are kept for one set of settings; after a change of the environment new ones are needed."""
    _bucket.cache_clear()
    s3fs.S3FileSystem.clear_instance_cache()


@functools.cache
def _bucket() -> Any:
    return boto3.resource("s3").Bucket(BUCKET)


def objects(prefix: str = "") -> dict[str, bytes]:
    """Every object whose name begins so, as the storage has it."""
    return {each.key: each.get()["Body"].read() for each in _bucket().objects.filter(Prefix=prefix)}


def digests(prefix: str) -> dict[str, str]:
    """The storage's own digest of each object, by the rest of its name."""
    return {each.key.removeprefix(prefix): each.e_tag for each in _bucket().objects.filter(Prefix=prefix)}


def remove_objects(prefix: str) -> None:
    """Empties a part of the bucket."""
    _bucket().objects.filter(Prefix=prefix).delete()


def put_object(name: str, content: bytes) -> None:
    """Writes an object past every check."""
    _bucket().put_object(Key=name, Body=content)
