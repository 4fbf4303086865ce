"""What the docs take for granted: data, a run, its export, a server, and an encoder by its name. All of it tiny."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.tiny import Rows, write_hugging_face_folder, write_tsv_file

# The encoder that the docs name.
ENCODER = "all-MiniLM-L6-v2"
NAMES = ("emotion", "bike_shop")


def write_place(folder: Path, rows: Rows, run: Path, exported: Path) -> None:
    """Writes what a reader of the docs has in the current folder.

    Args:
        folder: a new folder.
        rows: labeled texts.
        run: a run folder.
        exported: a version folder.
    """
    for part in (folder, folder / "data" / "emotion"):
        part.mkdir(parents=True)
        for name, some in (("train", rows[:40]), ("validation", rows[40:50]), ("test", rows[50:])):
            write_tsv_file(part / f"{name}.tsv", some)
    for name in NAMES:
        shutil.copytree(run, folder / "runs" / name)
        shutil.copytree(exported, folder / "models" / name / "1")


@contextmanager
def encoder_by_name(folder: Path) -> Iterator[None]:
    """A cache in which the encoder that the docs name is there, and is a tiny one of the usual length.

    Args:
        folder: an empty folder.
    """
    from bert_serving.encoders.catalog.handles import cache_key, find_handle
    from bert_serving.encoders.conversion.hugging_face import convert_hugging_face
    from bert_serving.io.cache import cached_intact

    write_hugging_face_folder(folder / "hugging_face", positions=512)
    before = os.environ["BERT_SERVING_CACHE"]
    os.environ["BERT_SERVING_CACHE"] = str(folder / "cache")
    try:
        key = cache_key(find_handle(ENCODER, None))
        cached_intact(key, lambda target: convert_hugging_face(folder / "hugging_face", target))
        yield
    finally:
        os.environ["BERT_SERVING_CACHE"] = before
