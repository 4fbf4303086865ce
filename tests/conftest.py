"""A ten-word vocabulary and a two-layer encoder with real forward passes, made once for all tests."""

import os

# TensorFlow reads these when it is imported: no chatter, no GPU, no second Keras, two logical processors for the strategy tests.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

import gc
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support.paths import SHARED
from support.runs import in_process_verification
from support.tiny import Ended, Rows, write_hugging_face_folder, write_run_file, write_tsv_file


@pytest.fixture(scope="session", autouse=True)
def _rare_garbage_collection():
    """TensorFlow's modules are a million objects, and to look through them again and again takes a tenth of the time."""
    gc.freeze()
    gc.set_threshold(200_000, 20, 100)


@pytest.fixture(scope="session", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory):
    """Tests never touch the user's cache."""
    os.environ["BERT_SERVING_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def hugging_face_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A two-layer BERT with random weights in Hugging Face's format."""
    folder = tmp_path_factory.mktemp("hugging_face") / "tiny"
    write_hugging_face_folder(folder)
    return folder


@pytest.fixture(scope="session")
def encoder_folder(hugging_face_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny BERT converted: encoder/, preprocessing/, encoder.json."""
    from bert_serving.encoders.conversion.hugging_face import convert_hugging_face

    target = tmp_path_factory.mktemp("encoders") / "tiny"
    convert_hugging_face(hugging_face_folder, target)
    return target


@pytest.fixture(scope="session")
def rows() -> Rows:
    """Sixty texts whose label a tiny model can learn."""
    random = np.random.default_rng(1)
    rows = []
    for number in range(60):
        label = ("praise", "blame")[number % 2]
        words = list(random.choice(["film", "bike", "the", "is", "very", "wheel"], size=random.integers(1, 12)))
        words.insert(int(random.integers(0, len(words) + 1)), {"praise": "good", "blame": "bad"}[label])
        rows.append((" ".join(words), label))
    return rows


@pytest.fixture
def write_tsv(tmp_path: Path) -> Callable[..., Path]:
    """Writes rows to a TSV file of the test's own folder."""

    def write(name: str, rows: Rows, header: tuple[str, ...] = ("text", "label")) -> Path:
        return write_tsv_file(tmp_path / name, rows, header)

    return write


@pytest.fixture(scope="session")
def run_file(encoder_folder: Path, rows: Rows, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run file with data that trains in seconds."""
    return write_run_file(tmp_path_factory.mktemp("run_file"), encoder_folder, rows)


@pytest.fixture(scope="session")
def trained(run_file: Path, tmp_path_factory: pytest.TempPathFactory):
    """A finished run (`bert_serving.Trained`)."""
    from bert_serving.config import load_run_file
    from bert_serving.training.run import train

    return train(load_run_file(run_file), tmp_path_factory.mktemp("runs") / "tiny")


@pytest.fixture(scope="session")
def exported(trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The finished run's export, version 1, verified. Tests must not change it."""
    from bert_serving.saved_model.export import export_run
    from bert_serving.saved_model.options import ExportOptions

    return export_run(trained.run, ExportOptions(tmp_path_factory.mktemp("models"), "tiny"))


@pytest.fixture
def bert_serving(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> Callable[..., Ended]:
    """Runs the command in this process, in the test's own folder.

    Exports are verified in this process, too; what a fresh process sees is tested in one.
    """
    from bert_serving.cli.main import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BERT_SERVING_OFFLINE", "")  # which --offline sets; restored after the test

    def run(*arguments: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["bert-serving", *map(str, arguments)])
        capsys.readouterr()
        with in_process_verification(), pytest.raises(SystemExit) as ended:
            main()
        return Ended(ended.value.code, *capsys.readouterr())

    return run


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real labeled text, where it is there."""
    folder = SHARED / "data"
    if not folder.is_dir():
        pytest.skip(f"needs real data in {folder}")
    return folder


@pytest.fixture(scope="session")
def minilm_folder() -> Path:
    """A real pretrained encoder in Hugging Face's format, where it is there."""
    folder = SHARED / "models" / "all-MiniLM-L6-v2"
    if not folder.is_dir():
        pytest.skip(f"needs a real encoder in {folder}")
    return folder
