"""Label changes of a models.config without servers, called from Python."""

import pytest

from bert_serving.errors import PublishError
from bert_serving.publishing.rollout.models_config import ServedVersions
from bert_serving.publishing.rollout.rollout import Rollout
from bert_serving.publishing.rollout.server_group import ServerGroup

CONFIG = """model_config_list { config {
  name: "m" base_path: "/models/m" model_platform: "tensorflow"
  model_version_policy { specific { versions: 7 } } version_labels { key: "stable" value: 7 }
} }
"""


@pytest.fixture
def rollout(tmp_path):
    (tmp_path / "models.config").write_text(CONFIG)
    return Rollout(tmp_path / "models.config", ServerGroup([]))


def test_labels_change_and_change_back(rollout):
    assert rollout.change_labels([], [8]) == ("m", ServedVersions((7, 8), {"stable": 7}), True)
    assert rollout.change_labels(["stable=8"]) == ("m", ServedVersions((7, 8), {"stable": 8}), True)
    assert rollout.roll_back() == ("m", ServedVersions((7, 8), {"stable": 7}), True)
    with pytest.raises(PublishError, match="has no change of a label of m to roll back"):
        rollout.roll_back()


def test_the_same_label_again_only_unloads_what_it_left(rollout):
    rollout.change_labels([], [8])
    rollout.change_labels(["stable=8"])
    unloaded = ServedVersions((8,), {"stable": 8})
    assert [rollout.change_labels(["stable=8"]) for _ in range(2)] == [("m", unloaded, True), ("m", unloaded, False)]


def test_a_label_waits_for_its_version(rollout):
    before = rollout.path.read_text()
    with pytest.raises(PublishError, match="does not load version 8 yet, and a server refuses a label"):
        rollout.change_labels(["stable=8"])
    with pytest.raises(PublishError, match="nothing to do; give label=version"):
        rollout.change_labels([])
    assert rollout.path.read_text() == before


def test_an_address_may_be_a_url():
    assert ServerGroup(["grpc://host:8500/", "other:8500"]).addresses == ["host:8500", "other:8500"]
