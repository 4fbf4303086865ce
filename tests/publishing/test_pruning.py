"""Which published versions may be removed, and their removal, without the command line."""

import pytest
from support.empty_export import write_export

from bert_serving.errors import PublishError
from bert_serving.publishing.pruning import needed_versions, prunable, remove_version
from bert_serving.publishing.published_versions import published_numbers, published_versions
from bert_serving.publishing.rollout.models_config import ModelsConfig
from bert_serving.publishing.rollout.server_group import ServerGroup
from bert_serving.publishing.storage.location import open_location

CONFIG = """model_config_list { config {
  name: "tiny" base_path: "/models/tiny" model_platform: "tensorflow"
  model_version_policy { specific { versions: 2 versions: 3 } } version_labels { key: "stable" value: 1 }
} }
"""


def test_listed_and_labeled_versions_are_needed():
    config = ModelsConfig(CONFIG, "models.config")
    assert needed_versions("tiny", config, ServerGroup([])) == {1, 2, 3}
    assert needed_versions("tiny", None, ServerGroup([])) == set()
    with pytest.raises(PublishError, match="has no model 'other'"):
        needed_versions("other", config, ServerGroup([]))


def test_the_highest_and_the_needed_versions_stay(tmp_path):
    for version in range(1, 5):
        write_export(tmp_path / "tiny" / str(version), version=version)
    model = open_location(str(tmp_path / "tiny"))
    versions = published_versions(model)
    assert prunable(versions, 2, {1}) == [2]
    with pytest.raises(PublishError, match="--keep 0: keep at least 1 version"):
        prunable(versions, 0, ())
    remove_version(model, 2)
    assert published_numbers(model) == [1, 3, 4]
