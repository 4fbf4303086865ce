"""Server, export, publishing and the sync containers' script read the same version folders."""

import contextlib
import itertools
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import fsspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import object_storage
from support.empty_export import write_export
from support.paths import ROOT

from bert_serving.errors import ExportError, PublishError
from bert_serving.model_server.models.folders import version_folders
from bert_serving.names import HIGHEST_VERSION, version_number
from bert_serving.observer import Observer
from bert_serving.publishing import publication
from bert_serving.publishing.kubernetes.deployment import plan_deployment
from bert_serving.publishing.pruning import remove_leftovers, remove_version
from bert_serving.publishing.published_versions import published_numbers, published_versions
from bert_serving.publishing.rollout.rollout import Rollout
from bert_serving.publishing.rollout.server_group import ServerGroup
from bert_serving.publishing.storage.location import Location, open_location
from bert_serving.saved_model.options import free_version
from bert_serving.saved_model.versions import latest_version

SYNC = ROOT / "k8s" / "base" / "sync" / "sync.sh"
CONFIG = """model_config_list {{ config {{ name: "m" base_path: "{}" model_platform: "tensorflow" }} }}
"""


@contextlib.contextmanager
def model_folder(kinds):
    """A folder with a version folder, an empty folder, a file or a link for each name; and the same in a storage's memory."""
    with tempfile.TemporaryDirectory() as temporary:
        folder, elsewhere = Path(temporary) / "m", Path(temporary) / "elsewhere"
        folder.mkdir()
        memory = fsspec.filesystem("memory")
        memory.store.clear()
        memory.pseudo_dirs[:] = [""]
        (elsewhere / "linked").mkdir(parents=True)
        (elsewhere / "linked" / "saved_model.pb").touch()
        for name, kind in kinds.items():
            path = folder / name
            if kind == "file":
                path.touch()
                memory.pipe_file(f"/m/{name}", b"")
                continue
            if kind == "link":
                path.symlink_to(elsewhere / "linked")
            else:
                path.mkdir()
                (path / "saved_model.pb").touch()
            memory.pipe_file(f"/m/{name}/saved_model.pb", b"")
        yield folder, Location("memory://m", memory, "/m")


def listed_by_sync(names):
    """What the sync containers' script takes from the listing of a storage: number and name of each folder, the first counts."""
    (function,) = re.findall(r"^complete\(\) \{\n.*?^\}", SYNC.read_text(), re.MULTILINE | re.DOTALL)
    listing = "".join(f"{name}/saved_model.pb\n" for name in names)
    ended = subprocess.run(
        ["sh", "-c", f"{function}\ncomplete"], input=listing, capture_output=True, text=True, check=True
    )
    return [tuple(line.split(" ", 1)) for line in ended.stdout.splitlines()]


def all_agree(kinds):
    with model_folder(kinds) as (folder, memory):
        served = version_folders(folder)
        assert list(served) == sorted({version_number(name) for name, kind in kinds.items() if kind != "file"} - {None})
        local = open_location(str(folder))
        assert published_numbers(local) == published_numbers(memory) == list(served)
        taken = {version_number(name) for name in kinds} - {None}
        if max(taken, default=0) == HIGHEST_VERSION:
            with pytest.raises(ExportError, match="not a positive integer up to"):
                free_version(folder, None)
        else:
            assert free_version(folder, None) == max(taken, default=0) + 1
        target = publication.PublicationTarget(open_location(str(folder.parent)), "m", 1)
        if not served:
            assert publication.published_baseline(target) is None
            for failing in (lambda: latest_version(folder), lambda: published_versions(local)):
                with pytest.raises((ExportError, PublishError)):
                    failing()
            return
        assert latest_version(folder) == served[max(served)]
        assert publication.published_baseline(target) == str(served[max(served)])
        for location in (local, memory):
            found = published_versions(location)
            assert {version.number: version.folder for version in found} == {
                number: path.name for number, path in served.items()
            }
            assert sum(len(version.ignored) for version in found) == len(
                [name for name, kind in kinds.items() if kind != "file" and version_number(name) is not None]
            ) - len(served)
        for location in (local, memory):
            remove_version(location, max(served))
            assert published_numbers(location) == sorted(served)[:-1]
        assert (folder.parent / "elsewhere" / "linked" / "saved_model.pb").exists()


NAMES = st.one_of(
    st.integers(0, 12).map(str),
    st.tuples(st.sampled_from(["0", "00", "+", "-", " ", "\t", "+0"]), st.integers(0, 12)).map(
        lambda pair: f"{pair[0]}{pair[1]}"
    ),
    st.tuples(st.integers(0, 12), st.sampled_from([" ", ".0", "e3", ".tmp", "_", "²", "१"])).map(
        lambda pair: f"{pair[0]}{pair[1]}"
    ),
    st.sampled_from(
        [str(HIGHEST_VERSION), str(HIGHEST_VERSION + 1), "9" * 30, ".tmp-5-abc", ".publishing-5", ".removed-5"]
    ),
    st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=6),
).filter(lambda name: name not in (".", "..") and name == name.strip("\n\r"))
FOLDERS = st.dictionaries(NAMES, st.sampled_from(["version", "version", "file", "link"]), max_size=6)


@settings(max_examples=40, deadline=None)
@given(FOLDERS)
def test_everything_reads_the_same_version_folders(kinds):
    all_agree(kinds)


@pytest.mark.slow
@settings(max_examples=2500, deadline=None)
@given(FOLDERS)
def test_everything_reads_the_same_of_thousands_of_folders(kinds):
    all_agree(kinds)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        NAMES.filter(lambda name: not set(name) & set("\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029")),
        max_size=200,
        unique=True,
    )
)
def test_the_sync_containers_read_the_same_names(names):
    found = listed_by_sync(names)
    assert {name for _, name in found} == {name for name in names if version_number(name) is not None}
    assert all(int(number) == version_number(name) for number, name in found)
    assert [int(number) for number, _ in found] == sorted((int(number) for number, _ in found), reverse=True)


RCLONE = """#!/bin/sh
# In place of rclone, which not every machine has: lists and copies folders of this machine.
for last; do :; done
case $1 in
  lsf) cd "$last" && find . -mindepth 2 -maxdepth 2 -name saved_model.pb | sed 's#^\\./##' ;;
  copy) mkdir -p "$last" && eval "cp -r \\"\\${$(($# - 1))}/.\\" \\"\\$last\\"" ;;
esac
"""


def test_the_sync_containers_fetch_padded_folders_under_their_numbers(tmp_path):
    for name in ("07", "7", "00000123", " 9", "+5", "0", "v4", str(HIGHEST_VERSION + 1)):
        (tmp_path / "source" / name).mkdir(parents=True)
        (tmp_path / "source" / name / "saved_model.pb").write_text(name)
    (tmp_path / "rclone").write_text(RCLONE)
    (tmp_path / "rclone").chmod(0o755)
    (tmp_path / "models.config").write_text("specific { versions: 0 }\n")
    environment = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "SOURCE": str(tmp_path / "source"),
        "TARGET": str(tmp_path / "target"),
        "CONFIG": str(tmp_path / "models.config"),
    }
    ended = subprocess.run(
        ["sh", SYNC, "once"], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    fetched = {path.name: (path / "saved_model.pb").read_text() for path in (tmp_path / "target").iterdir()}
    assert fetched == {"123": "00000123", "9": " 9", "7": "7", "0": "0"}


@pytest.mark.parametrize(
    ("names", "read", "ignored"),
    [
        (["00000123"], "00000123", ()),
        (["1", "001"], "1", ("001",)),
        (["01", "001", "+1"], "01", ("+1", "001")),
        (["5 ", "5"], "5 ", ("5",)),
        (["0"], "0", ()),
    ],
)
def test_of_several_folders_of_a_number_the_last_name_counts(names, read, ignored):
    for order in itertools.permutations(names):
        with model_folder(dict.fromkeys(order, "version")) as (folder, _):
            (path,) = version_folders(folder).values()
            (version,) = published_versions(open_location(str(folder)))
            assert (path.name, version.folder, version.ignored) == (read, read, ignored)


def test_commands_work_on_a_padded_folder(bert_serving, tmp_path):
    export = write_export(tmp_path / "export" / "1", version=1)
    for name in ("001", "00000122", "00000123", "122"):
        shutil.copytree(export, tmp_path / "models" / "tiny" / name)
    (tmp_path / "models.config").write_text(CONFIG.format(tmp_path / "models" / "tiny"))
    shown = bert_serving("versions", "models/tiny").out
    assert "in folder '00000123'" in shown
    assert "servers ignore '00000122', of the same number" in shown
    rollout = Rollout(tmp_path / "models.config", ServerGroup([]), published_at=str(tmp_path / "models" / "tiny"))
    with pytest.raises(PublishError, match="there is no version 124; published are 1, 122, 123"):
        rollout.change_labels([], [124])
    assert rollout.change_labels([], [123])[2]
    with pytest.raises(PublishError, match=r"tiny/00000123: version 123 exists .* give --version 124"):
        publication.check_free(
            publication.publication_target(export, open_location(str(tmp_path / "models")), version=123)
        )
    ended = bert_serving("prune", "models/tiny", "--keep", 1)
    assert (ended.status, "removed: 1, 122" in ended.out) == (0, True)
    assert [path.name for path in (tmp_path / "models" / "tiny").iterdir()] == ["00000123"]


@pytest.mark.slow
def test_a_storage_with_padded_folders_is_read_and_pruned(tmp_path):
    export = write_export(tmp_path / "export" / "1", version=1)
    with object_storage.running_storage():
        for name in ("001", "07", "7"):
            for path in (path for path in export.rglob("*") if path.is_file()):
                object_storage.put_object(f"m/tiny/{name}/{path.relative_to(export)}", path.read_bytes())
        object_storage.put_object("m/tiny/9", b"a file")
        object_storage.put_object("m/tiny/008/variables/variables.index", b"of an upload that goes on")
        models = open_location("s3://models/m")
        found = published_versions(models.below("tiny"))
        assert [(version.number, version.folder, version.complete) for version in found] == [
            (8, "008", False),
            (7, "7", True),
            (1, "001", True),
        ]
        deployment = plan_deployment("tiny", "s3://models/m", overlay="kserve-standard")
        assert (deployment.version, deployment.canary, deployment.folders) == (1, 7, {7: "7", 1: "001"})
        with pytest.raises(PublishError, match="tiny/001: version 1 exists and is never overwritten; give --version 9"):
            publication.check_free(publication.publication_target(export, models, version=1))
        target = publication.publication_target(export, models, version=1)
        assert publication.already_published(export, target) is False  # it has no list of sums
        remove_version(models.below("tiny"), 7)
        remove_leftovers(models.below("tiny"))
        assert {name.split("/")[2] for name in object_storage.objects("m/tiny/")} == {"001", "008", "9"}


def test_a_link_to_a_version_is_removed_and_its_target_stays(tmp_path):
    write_export(tmp_path / "kept")
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "03").symlink_to(tmp_path / "kept")
    remove_version(open_location(str(tmp_path / "m")), 3)
    assert list((tmp_path / "m").iterdir()) == []
    assert (tmp_path / "kept" / "saved_model.pb").exists()


@pytest.mark.parametrize("version", [0, -1, HIGHEST_VERSION + 1])
def test_a_version_that_no_server_reads_is_not_published(version, tmp_path):
    with pytest.raises(PublishError, match=f"version {version} is not a positive integer up to"):
        publication.publication_target(write_export(tmp_path / "1"), open_location(str(tmp_path)), version=version)
    with pytest.raises(ExportError, match=f"version {version} is not a positive integer up to"):
        free_version(tmp_path, version)


def test_the_next_version_after_a_padded_folder_is_published(tmp_path):
    export = write_export(tmp_path / "export" / "1", version=1)
    models = open_location(str(tmp_path / "models"))
    shutil.copytree(export, tmp_path / "models" / "tiny" / "007")
    target = publication.publication_target(export, models, version=7)
    with pytest.raises(PublishError, match="version 7 exists and is never overwritten"):
        publication.publish(export, target, {}, observer=Observer())
    target = publication.publication_target(export, models, version=8)
    publication.publish(export, target, {}, observer=Observer())
    assert published_numbers(target.model) == [7, 8]
