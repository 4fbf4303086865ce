"""Encoders over TF Hub's protocol, from Kaggle, from their libraries' caches, and from archives."""

import dataclasses
import hashlib
import io
import shutil
import socket
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import tensorflow as tf
from support.download_server import redirect_to, refusal, running_downloads, tar_of
from support.hugging_face_folders import sentencepiece_model
from support.other_encoders import write_bag_of_words

from bert_serving.config import EncoderConfig
from bert_serving.encoders.catalog import catalog, handles
from bert_serving.encoders.catalog.catalog import CATALOG
from bert_serving.encoders.download.sources import fetch
from bert_serving.encoders.download.tf_hub import TFHubSource
from bert_serving.encoders.loading import load_encoder
from bert_serving.encoders.lookup import find_encoder_folder
from bert_serving.encoders.trust import check_harmless
from bert_serving.errors import EncoderError, SourceError
from bert_serving.text.preprocessing import (
    NormalizedPreprocessing,
    load_preprocessing,
    write_sentencepiece_preprocessing,
)
from bert_serving.text.sentencepieces import TextRules, read_sentencepiece
from bert_serving.training.loading import load_classifier
from bert_serving.training.run_folder import RunFolder

ENCODER, PREPROCESSING = "/lab/mini/1?tf-hub-format=compressed", "/lab/mini_preprocess/3?tf-hub-format=compressed"
KAGGLE = "lab/mini/tensorFlow2/tiny/1"


@pytest.fixture(autouse=True)
def environment(tmp_path, monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "BERT_SERVING_OFFLINE", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name in ("BERT_SERVING_CACHE", "TFHUB_CACHE_DIR", "KAGGLEHUB_CACHE"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))


@pytest.fixture(scope="module")
def archives(encoder_folder) -> tuple[bytes, bytes]:
    """The tiny encoder and its preprocessing, packed as TF Hub packs them."""
    return tar_of(encoder_folder / "encoder"), tar_of(encoder_folder / "preprocessing")


@pytest.fixture
def server(archives, monkeypatch):
    with running_downloads() as server:
        server.files[ENCODER], server.files[PREPROCESSING] = archives
        monkeypatch.setenv("KAGGLE_API_ENDPOINT", server.address)
        yield server


@pytest.fixture
def config(server) -> EncoderConfig:
    return EncoderConfig(name=f"{server.address}/lab/mini/1", preprocessing=f"{server.address}/lab/mini_preprocess/3")


def refused(config: EncoderConfig) -> str:
    with pytest.raises((SourceError, EncoderError)) as raised:
        find_encoder_folder(config)
    assert "\n" not in str(raised.value)
    return str(raised.value)


# === TF Hub's protocol ===


def test_an_encoder_arrives_over_tf_hubs_protocol_once(server, config, encoder_folder):
    folder = find_encoder_folder(config)
    assert server.asked() == [ENCODER, PREPROCESSING]
    assert find_encoder_folder(config) == folder
    assert len(server.requests) == 2
    ours = find_encoder_folder(EncoderConfig(path=encoder_folder))
    assert folder.sha256 == ours.sha256
    assert folder.name == config.name
    assert load_encoder(folder).architecture is not None
    assert load_preprocessing(folder.preprocessing).segment(tf.constant(["good"])).flat_values.numpy().tolist() == [5]


def test_redirects_are_followed_as_from_tfhub_dev_to_kaggle(server, config):
    server.answers[ENCODER] = redirect_to("/storage/blob?signature=1")
    server.files["/storage/blob?signature=1"] = server.files[ENCODER]
    assert find_encoder_folder(config).encoder.is_dir()


@pytest.mark.parametrize(
    ("place", "answer", "problem"),
    [
        (
            ENCODER,
            refusal(403),
            "the server refuses archive of {encoder} (HTTP 403): it is private, gated or misspelled",
        ),
        (ENCODER, refusal(404), "has no archive of {encoder} (HTTP 404)"),
        (PREPROCESSING, refusal(404), "has no archive of {preprocessing} (HTTP 404)"),
        (ENCODER, lambda handler: handler.give(b"x" * 9999, break_off=99), "broke off its answer"),
        (ENCODER, lambda handler: handler.give(b"<html>Sign in</html>"), "what arrived for {encoder} is refused: "),
    ],
)
def test_a_download_that_fails_leaves_nothing_in_the_cache(server, config, tmp_path, place, answer, problem):
    server.answers[place] = answer
    expected = problem.format(encoder=config.name, preprocessing=config.preprocessing)
    assert expected in refused(config)
    left = [path.name for path in (tmp_path / "bert_serving_cache").iterdir() if not path.name.startswith(".")]
    assert left == []
    del server.answers[place]
    assert find_encoder_folder(config).encoder.is_dir()


def test_an_archive_that_breaks_out_is_refused(server, config, tmp_path):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        tar.addfile(tarfile.TarInfo("../../escaped"))
    server.files[ENCODER] = packed.getvalue()
    assert "a name that may lead out of its folder; it is refused" in refused(config)
    assert not list(tmp_path.rglob("escaped"))


def test_an_encoder_without_preprocessing_is_told_what_to_name(server):
    message = refused(EncoderConfig(name=f"{server.address}/lab/mini/1"))
    assert "comes without preprocessing; name that of its vocabulary in encoder.preprocessing" in message


# === Order and aliases ===


def test_the_next_source_is_tried_and_all_names_share_the_result(server, monkeypatch):
    """What happens today: TF Hub's address answers 403, Kaggle's interface for programs delivers."""
    entry = dataclasses.replace(
        CATALOG["small_bert/bert_en_uncased_L-2_H-128_A-2"],
        name="mini",
        sources=(
            TFHubSource(
                encoder=f"{server.address}/lab/mini/1", preprocessing=f"{server.address}/lab/mini_preprocess/3"
            ),
            TFHubSource(encoder=KAGGLE, preprocessing="lab/mini/tensorFlow2/preprocess/3"),
        ),
        aliases=("https://tfhub.dev/lab/mini/1", KAGGLE),
    )
    for module in (catalog, handles):
        monkeypatch.setattr(module, "CATALOG", {"mini": entry})
    server.answers[ENCODER] = refusal(403)
    for name, handle in ((ENCODER, KAGGLE), (PREPROCESSING, "lab/mini/tensorFlow2/preprocess/3")):
        server.files[f"/api/v1/models/{handle}/download"] = server.files[name]
    passed_over: list[str] = []
    first = find_encoder_folder(EncoderConfig(name="mini"), passed_over=passed_over.append)
    assert len(passed_over) == 1
    assert "(HTTP 403)" in passed_over[0]
    assert server.asked() == [
        ENCODER,
        f"/api/v1/models/{KAGGLE}/download",
        "/api/v1/models/lab/mini/tensorFlow2/preprocess/3/download",
    ]
    for name in ("https://www.tfhub.dev/lab/mini/1", "https://kaggle.com/models/lab/mini/TensorFlow2/tiny/1", KAGGLE):
        assert find_encoder_folder(EncoderConfig(name=name)) == first
    assert len(server.requests) == 3


# === Caches of others ===


def test_tf_hubs_cache_is_read_offline(config, server, encoder_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("BERT_SERVING_OFFLINE", "1")
    assert "nothing is fetched while BERT_SERVING_OFFLINE is set" in refused(config)
    for address, name in ((config.name, "encoder"), (config.preprocessing, "preprocessing")):
        key = hashlib.sha1(address.encode()).hexdigest()
        shutil.copytree(encoder_folder / name, tmp_path / "tfhub_cache_dir" / key)
    assert find_encoder_folder(config).encoder.is_dir()
    assert server.requests == []


def test_tf_hubs_cache_is_read_under_an_alias_of_a_catalog_encoder(encoder_folder, tmp_path, monkeypatch):
    """A program of the user's fetched version 2, and the catalog says version 1, which holds the same weights."""
    monkeypatch.setenv("BERT_SERVING_OFFLINE", "1")
    name = "https://tfhub.dev/tensorflow/small_bert/bert_en_uncased_L-2_H-128_A-2/2"
    addresses = {name: "encoder", "https://tfhub.dev/tensorflow/bert_en_uncased_preprocess/3": "preprocessing"}
    for address, part in addresses.items():
        key = hashlib.sha1(address.encode()).hexdigest()
        shutil.copytree(encoder_folder / part, tmp_path / "tfhub_cache_dir" / key)
    assert find_encoder_folder(EncoderConfig(name=name)).name == "small_bert/bert_en_uncased_L-2_H-128_A-2"


@pytest.mark.parametrize(
    ("part", "lost"),
    [
        ("encoder", "saved_model.pb"),
        ("encoder", "variables/variables.data-00000-of-00001"),
        ("encoder", "variables/variables.index"),
        ("encoder", "variables"),
        ("preprocessing", "assets/vocab.txt"),
        ("preprocessing", "assets"),
    ],
)
def test_a_half_empty_folder_of_tf_hubs_cache_is_passed_over(config, server, encoder_folder, tmp_path, part, lost):
    for address, name in ((config.name, "encoder"), (config.preprocessing, "preprocessing")):
        folder = tmp_path / "tfhub_cache_dir" / hashlib.sha1(address.encode()).hexdigest()
        shutil.copytree(encoder_folder / name, folder)
        if name == part:
            shutil.rmtree(folder / lost) if (folder / lost).is_dir() else (folder / lost).unlink()
    find_encoder_folder(config)
    assert server.asked() == [{"encoder": ENCODER, "preprocessing": PREPROCESSING}[part]]


@pytest.mark.parametrize("complete", [True, False])
def test_kagglehubs_cache_is_read_when_it_is_complete(server, encoder_folder, tmp_path, complete, monkeypatch):
    models = tmp_path / "kagglehub_cache" / "models"
    for handle, name in ((KAGGLE, "encoder"), ("lab/mini/tensorFlow2/preprocess/3", "preprocessing")):
        shutil.copytree(encoder_folder / name, models / handle)
        if complete:
            (models / f"{handle}.complete").touch()
    monkeypatch.setenv("BERT_SERVING_OFFLINE", "1")
    config = EncoderConfig(name=KAGGLE, preprocessing="lab/mini/tensorFlow2/preprocess/3")
    if complete:
        assert find_encoder_folder(config).name == KAGGLE
    else:
        assert "nothing is fetched while BERT_SERVING_OFFLINE is set" in refused(config)


# === Archives ===


@pytest.mark.slow
def test_an_archived_hugging_face_folder_is_fetched_checked_and_converted(server, hugging_face_folder):
    packed = tar_of(hugging_face_folder)
    server.files["/mini.tar.gz"] = packed
    digest = hashlib.sha256(packed).hexdigest()
    folder = find_encoder_folder(EncoderConfig(name=f"{server.address}/mini.tar.gz#sha256={digest}"))
    assert (folder.encoder.parent / "encoder.json").is_file()
    server.files["/mini.tar.gz"] = packed + b"x"
    other = EncoderConfig(name=f"{server.address}/mini.tar.gz?again#sha256={digest}")
    server.files["/mini.tar.gz?again"] = packed + b"x"
    assert f"instead of {digest}" in refused(other)


def test_what_was_fetched_without_a_digest_satisfies_none(server, config, archives):
    find_encoder_folder(config)
    right = [hashlib.sha256(archive).hexdigest() for archive in archives]
    wrong = "0" * 64
    assert f"instead of {wrong}" in refused(config.model_copy(update={"name": f"{config.name}#sha256={wrong}"}))
    tokens = f"{config.preprocessing}#sha256="
    assert f"instead of {wrong}" in refused(config.model_copy(update={"preprocessing": f"{tokens}{wrong}"}))
    both = EncoderConfig(name=f"{config.name}#sha256={right[0]}", preprocessing=f"{tokens}{right[1]}")
    before = len(server.requests)
    assert find_encoder_folder(both) == find_encoder_folder(both)
    assert len(server.requests) == before + 2
    assert (load_encoder(find_encoder_folder(both)).architecture) is not None


def test_a_digest_is_not_taken_for_granted_of_another_librarys_cache(config, encoder_folder, tmp_path, monkeypatch):
    for address, name in ((config.name, "encoder"), (config.preprocessing, "preprocessing")):
        key = hashlib.sha1(address.encode()).hexdigest()
        shutil.copytree(encoder_folder / name, tmp_path / "tfhub_cache_dir" / key)
    monkeypatch.setenv("BERT_SERVING_OFFLINE", "1")
    other = config.model_copy(update={"name": f"{config.name}#sha256={'0' * 64}"})
    assert "nothing is fetched while BERT_SERVING_OFFLINE is set" in refused(other)


@pytest.mark.parametrize("suffix", ["zip", "gztar"])
def test_a_local_archive_is_unpacked_once(encoder_folder, tmp_path, suffix):
    archive = Path(shutil.make_archive(str(tmp_path / "hub"), suffix, encoder_folder.parent, encoder_folder.name))
    folder = find_encoder_folder(EncoderConfig(path=archive))
    assert folder.sha256 == find_encoder_folder(EncoderConfig(path=encoder_folder)).sha256
    assert folder.name == archive.name
    assert find_encoder_folder(EncoderConfig(path=archive)) == folder


# === Strangers' SavedModels ===


@pytest.fixture(scope="module")
def harmful(tmp_path_factory, encoder_folder) -> Path:
    """An encoder folder whose encoder reads a file when it is called."""
    folder = tmp_path_factory.mktemp("harmful") / "model"
    write_bag_of_words(folder / "encoder", reads="/etc/hostname")
    shutil.copytree(encoder_folder / "preprocessing", folder / "preprocessing")
    return folder


def test_a_saved_model_that_reads_files_is_refused_unless_it_is_trusted(harmful):
    message = refused(EncoderConfig(path=harmful))
    assert f"{harmful / 'encoder'}: has unsafe operations: ReadFile (reads files)" in message
    assert message.endswith("set encoder.trusted = true if you trust its author")
    assert find_encoder_folder(EncoderConfig(path=harmful, trusted=True)).encoder == harmful / "encoder"


def test_a_description_beside_a_strangers_saved_model_excuses_nothing(harmful, encoder_folder, tmp_path):
    shutil.copytree(harmful, tmp_path / "disguised")
    shutil.copy(encoder_folder / "encoder.json", tmp_path / "disguised")
    assert "ReadFile" in refused(EncoderConfig(path=tmp_path / "disguised"))


def test_a_fetched_saved_model_is_audited_each_time_it_is_asked_for(server, config, harmful, encoder_folder, tmp_path):
    server.files[ENCODER] = tar_of(harmful / "encoder")
    assert "ReadFile" in refused(config)
    assert find_encoder_folder(config.model_copy(update={"trusted": True})).encoder.is_dir()
    assert "ReadFile" in refused(config)
    shutil.copytree(harmful, tmp_path / "disguised")
    shutil.copy(encoder_folder / "encoder.json", tmp_path / "disguised")
    server.files["/disguised.tar.gz"] = tar_of(tmp_path / "disguised")
    assert "ReadFile" in refused(EncoderConfig(name=f"{server.address}/disguised.tar.gz"))


@pytest.fixture(scope="module")
def harmful_run(tmp_path_factory, trained) -> Path:
    """A run whose preprocessing writes a file when it is called."""
    folder = tmp_path_factory.mktemp("harmful_run") / "run"
    shutil.copytree(trained.run.path, folder)
    module = tf.Module()

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def write(texts):
        tf.io.write_file("/tmp/bert_serving_was_here", texts[0])
        return texts

    module.write = write
    shutil.copytree(folder / "preprocessing" / "assets", folder / "assets")
    shutil.rmtree(folder / "preprocessing")
    tf.saved_model.save(module, str(folder / "preprocessing"))
    (folder / "preprocessing" / "assets").mkdir(exist_ok=True)
    shutil.copy(folder / "assets" / "vocab.txt", folder / "preprocessing" / "assets")
    return folder


def test_a_harmful_preprocessing_in_a_run_is_refused_however_the_run_comes(server, harmful_run, tmp_path):
    archive = tmp_path / "run.tar.gz"
    archive.write_bytes(tar_of(harmful_run))
    server.files["/run.tar.gz"] = archive.read_bytes()
    for place in ({"path": harmful_run}, {"path": archive}, {"name": f"{server.address}/run.tar.gz"}):
        message = refused(EncoderConfig(**place))
        assert "has unsafe operations: WriteFile (writes files)" in message
        assert find_encoder_folder(EncoderConfig(**place, trusted=True)).encoder.is_dir()
        assert "WriteFile" in refused(EncoderConfig(**place))


def test_a_run_whose_preprocessing_was_exchanged_is_converted_again(trained, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(trained.run.path, run)
    before = find_encoder_folder(EncoderConfig(path=run)).preprocessing
    (run / "preprocessing" / "assets" / "notes.txt").write_text("another one")
    after = find_encoder_folder(EncoderConfig(path=run)).preprocessing
    assert (after / "assets" / "notes.txt").is_file()
    assert not (before / "assets" / "notes.txt").exists()


def test_a_run_with_harmful_preprocessing_is_not_loaded_for_answers(harmful_run):
    with pytest.raises(EncoderError, match=r"preprocessing: has unsafe operations: .*WriteFile \(writes files\)"):
        load_classifier(RunFolder(harmful_run))


@pytest.mark.slow
def test_preprocessing_of_our_own_passes_the_audit(trained, encoder_folder, tmp_path):
    check_harmless(encoder_folder / "preprocessing")
    check_harmless(trained.run.preprocessing)
    (tmp_path / "spiece.model").write_bytes(sentencepiece_model())
    model = read_sentencepiece(tmp_path / "spiece.model")
    write_sentencepiece_preprocessing(model, tmp_path / "albert", rules=TextRules())
    check_harmless(tmp_path / "albert")
    inner = load_preprocessing(encoder_folder / "preprocessing").model
    tf.saved_model.save(NormalizedPreprocessing(inner, tf.strings.strip), str(tmp_path / "normalized"))
    check_harmless(tmp_path / "normalized")


# === Offline ===

_NO_SOCKETS = """
import os, sys
os.environ["BERT_SERVING_OFFLINE"] = "1"
def forbid(event, arguments):
    if event.startswith("socket.") and event not in ("socket.gethostname",):
        print("opened", event, arguments)
sys.addaudithook(forbid)
from pathlib import Path
from bert_serving.encoders.catalog.catalog import CATALOG
from bert_serving.encoders.catalog.handles import find_handle
from bert_serving.encoders.download.sources import fetch_first
from bert_serving.errors import SourceError
names = [*CATALOG, "hf://lab/mini", "https://models.example/a.zip", "https://tfhub.dev/lab/mini/1", "lab/mini/tensorFlow2/a/1"]
for name in names:
    handle = find_handle(name)
    try:
        fetch_first(handle.name, handle.sources, Path(sys.argv[1]), passed_over=print)
    except SourceError as error:
        assert "BERT_SERVING_OFFLINE" in str(error), error
    else:
        print("fetched", name)
print("done", len(names))
"""


def test_offline_no_socket_is_opened_whatever_is_asked_for(tmp_path):
    command = [sys.executable, "-c", _NO_SOCKETS, str(tmp_path / "target")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"done {len(CATALOG) + 4}\n"


def test_the_audit_of_that_test_sees_sockets():
    """Without this the test above could pass by seeing nothing."""
    seen: list[str] = []
    active = [True]
    sys.addaudithook(lambda event, _: seen.append(event) if active and event.startswith("socket.") else None)
    with socket.socket():
        pass
    active.clear()
    assert seen


def test_offline_a_partly_cached_source_is_not_completed_from_the_network(
    config, encoder_folder, tmp_path, monkeypatch
):
    key = hashlib.sha1(config.name.encode()).hexdigest()
    shutil.copytree(encoder_folder / "encoder", tmp_path / "tfhub_cache_dir" / key)
    monkeypatch.setenv("BERT_SERVING_OFFLINE", "1")
    with pytest.raises(SourceError, match="BERT_SERVING_OFFLINE is set"):
        fetch(TFHubSource(encoder=config.name, preprocessing=config.preprocessing), tmp_path / "target")
