"""What the docs take for granted: data, a run, its export, a server, and encoders. All of it tiny."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.tiny import Rows, write_hugging_face_folder, write_tsv_file

# The encoder that the docs name.
ENCODER = "all-MiniLM-L6-v2"
# Names of runs and models in the docs and in docstrings.
NAMES = ("emotion", "bike_shop", "tiny")
_RUN_FILE = """\
[data]
train = "train.tsv"
validation = "validation.tsv"
test = "test.tsv"
[encoder]
path = "encoders/tiny"
sequence_length = 16
[training]
epochs = 2
"""
_MODELS_CONFIG = """\
model_config_list {
  config {
    name: "tiny"
    base_path: "models/tiny"
    model_platform: "tensorflow"
    model_version_policy { specific { versions: 1 } }
  }
}
"""


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
    for split, some in (("train", rows[:40]), ("test", rows[50:])):
        for number, (text, label) in enumerate(some):
            file = folder / "aclImdb" / split / {"praise": "pos", "blame": "neg"}[label] / f"{number}.txt"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, "utf-8")
    for name in NAMES:
        shutil.copytree(run, folder / "runs" / name)
        shutil.copytree(exported, folder / "models" / name / "1")
    shutil.copytree(exported, folder / "demo" / "models" / "bike_shop" / "1")
    # As long as real ones.
    write_hugging_face_folder(folder / "encoders" / "tiny", positions=512)
    reviews = [f"{number},{text}\n" for number, (text, _) in enumerate(rows)]
    (folder / "reviews.csv").write_text("id,review\n" + "".join(reviews), "utf-8")
    (folder / "tiny.toml").write_text(_RUN_FILE, "utf-8")
    (folder / "models.config").write_text(_MODELS_CONFIG, "utf-8")


@contextmanager
def encoder_by_name(source: Path, cache: Path) -> Iterator[None]:
    """A cache in which the encoder that the docs name is there, and is a tiny one.

    Args:
        source: the tiny one, a Hugging Face folder.
        cache: an empty folder.
    """
    from bert_serving.encoders.catalog.handles import cache_key, find_handle
    from bert_serving.encoders.conversion.hugging_face import convert_hugging_face
    from bert_serving.io.cache import cached_intact

    before = os.environ["BERT_SERVING_CACHE"]
    os.environ["BERT_SERVING_CACHE"] = str(cache)
    try:
        cached_intact(cache_key(find_handle(ENCODER, None)), lambda target: convert_hugging_face(source, target))
        yield
    finally:
        os.environ["BERT_SERVING_CACHE"] = before
