"""Which versions of a published model are deployed, where and with which resources."""

import pytest
from support import object_storage
from support.empty_export import write_export

from bert_serving.errors import PublishError
from bert_serving.observer import Observer
from bert_serving.publishing import publication
from bert_serving.publishing.kubernetes.deployment import plan_deployment
from bert_serving.publishing.storage.location import open_location


def test_the_highest_version_is_the_canary_and_the_one_before_serves(tmp_path):
    export = write_export(tmp_path / "4", version=4)
    with object_storage.running_storage():
        for version in (4, 7):
            target = publication.publication_target(export, open_location("s3://models"), version=version)
            publication.publish(export, target, {}, observer=Observer())
        canary = plan_deployment("tiny", "s3://models", overlay="canary", rate=60, throughput=10)
        single = plan_deployment("tiny", "s3://models", namespace="shop")
        with pytest.raises(PublishError, match="there is no overlay 'none'; give one of cpu, gpu, canary"):
            plan_deployment("tiny", "s3://models", overlay="none")
    assert (canary.version, canary.canary, canary.namespace, canary.sizing.min_pods) == (4, 7, "tiny", 10)
    assert (single.version, single.canary, single.namespace, single.sizing.min_pods) == (7, None, "shop", 2)


def test_pods_cannot_fetch_from_a_local_folder(tmp_path):
    write_export(tmp_path / "tiny" / "1")
    with pytest.raises(PublishError, match="pods can fetch models only from s3:// and gs://"):
        plan_deployment("tiny", str(tmp_path))
