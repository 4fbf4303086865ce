"""Names in rendered manifests: refused before anything is written, or the same everywhere."""

import pytest
from support import manifests
from support.manifests import of_kind

from bert_serving.errors import PublishError
from bert_serving.publishing.kubernetes.deployment import Deployment, plan_deployment
from bert_serving.publishing.kubernetes.manifests import write_manifests
from bert_serving.publishing.kubernetes.object_names import dashed
from bert_serving.publishing.kubernetes.sizing import MEBI, Workload


def deployment(model="emotion", *, url="s3://models", overlay="cpu", namespace=None, **versions):
    numbers = {"version": 1, "canary": None, **versions}
    name = dashed(model) if namespace is None else namespace
    return Deployment(model, url, overlay=overlay, namespace=name, workload=Workload(MEBI), **numbers)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({"namespace": "A_b"}, "'A_b' cannot name a Kubernetes namespace: .*'a-b' would do; give it with --namespace"),
        ({"namespace": ""}, "'' cannot name a Kubernetes namespace"),
        ({"namespace": "x" * 64}, "64 characters, cannot name a Kubernetes namespace: .*at most 63 characters"),
        ({"model": "emotion_" * 8}, "64 characters, cannot name a Kubernetes namespace"),
        ({"model": "emotion_"}, "'emotion-' cannot name a Kubernetes namespace: .*'emotion' would do"),
        ({"model": "a b"}, "'a b' cannot name a model: .*'a-b' would do; give it with --model"),
        ({"model": "größe"}, "'größe' cannot name a model: .*'grosse' would do"),
        ({"model": "", "namespace": "x"}, "'' cannot name a model"),
        ({"url": "s3://Bucket_X/models"}, "'Bucket_X' cannot name an S3 bucket: .*'bucket-x' would do"),
        ({"url": "gs://goog-x"}, "'goog-x' cannot name a Google Cloud Storage bucket"),
        ({"url": "s3://models/my models"}, "a path in manifests has only letters"),
        ({"url": "s3://models/a#b"}, "a path in manifests has only letters"),
        ({"url": "s3://models//a"}, "'' cannot be a part of a path there"),
        ({"url": "s3:/models"}, "'s3:/models' is not a URL; give s3://models"),
        ({"url": "s3://models "}, "'s3://models ' is not a URL as storages read it; give s3://models"),
        ({"url": "s3:///models"}, "names no bucket"),
        (
            {"model": "2024_emotion", "overlay": "kserve"},
            "'2024-emotion' cannot name a KServe InferenceService: .*'m-2024-e",
        ),
        ({"model": "m" * 30, "overlay": "kserve"}, "30 characters, cannot name a KServe .*at most 22 characters"),
        ({"model": "m" * 50, "overlay": "kserve", "namespace": "x"}, "at most 46 characters"),
        ({"namespace": "x" * 60, "overlay": "kserve-standard"}, "leaves no room for the InferenceService"),
    ],
)
def test_a_name_that_a_target_refuses_is_refused_first(names, message):
    with pytest.raises(PublishError, match=message):
        deployment(**names)
    arguments = {"model": "emotion", "url": "s3://models", **names}
    with pytest.raises(PublishError, match=message):  # nor is the storage asked, which is not there
        plan_deployment(arguments.pop("model"), arguments.pop("url"), **arguments)


@pytest.mark.parametrize(
    "names",
    [
        {"model": "2024_emotion"},
        {"model": "m" * 63},
        {"model": "m" * 26, "overlay": "kserve"},
        {"model": "m" * 46, "overlay": "kserve-standard", "namespace": "shop"},
        {"model": "emotion_" * 8, "namespace": "x" * 63},
        {"url": "gs://my_bucket/a/b=c"},
        {"url": "s3://arn:aws:s3:eu-west-1:1:accesspoint/models"},
    ],
)
def test_names_at_the_limit_are_accepted(names):
    assert deployment(**names).workload.size == MEBI


@pytest.mark.parametrize("model", ["bike-shop-2", "my_bike_shop", "models", "null", "123"])
def test_every_name_of_a_model_comes_through_unchanged(model, tmp_path):
    write_manifests(deployment(model, namespace="2024"), tmp_path / "out")
    found = manifests.built(tmp_path / "out")
    (server,) = of_kind(found, "Deployment")
    probe = manifests.server_of(server["spec"]["template"]["spec"])["startupProbe"]["httpGet"]["path"]
    assert probe == f"/v1/models/{model}"
    (source,) = [each["data"] for each in of_kind(found, "ConfigMap") if "SOURCE" in each["data"]]
    assert (source["SOURCE"], source["MODEL"]) == (f"store:models/{model}", model)
    assert {each["metadata"]["name"] for each in of_kind(found, "Namespace")} == {"2024"}


@pytest.mark.parametrize("model", ["null", "true", "y", "Bike_Shop.v2"])
def test_kserve_gets_a_string_of_lower_case_and_dashes(model, tmp_path):
    write_manifests(deployment(model, overlay="kserve", namespace="0x10"), tmp_path / "out")
    (service,) = of_kind(manifests.built(tmp_path / "out"), "InferenceService")
    assert service["metadata"] == {"name": dashed(model), "namespace": "0x10"}
    assert service["spec"]["predictor"]["model"]["storageUri"] == f"s3://models/{model}"


def test_the_canary_of_kserve_follows_from_the_versions(tmp_path):
    standard = {"overlay": "kserve-standard", "folders": {8: "008"}}
    write_manifests(deployment(version=7, canary=8, **standard), tmp_path / "two")
    (service,) = of_kind(manifests.built(tmp_path / "two"), "InferenceService")
    assert service["metadata"]["annotations"] == {"serving.kserve.io/deploymentMode": "Standard"}
    predictor, (canary,) = service["spec"]["predictor"], service["spec"]["canary"]
    assert predictor["storageUris"] == [{"uri": "s3://models/emotion/7", "mountPath": "/mnt/models/7"}]
    assert canary["predictor"]["storageUris"] == [{"uri": "s3://models/emotion/008", "mountPath": "/mnt/models/8"}]
    assert (canary["trafficPercent"], canary["predictor"]["name"]) == (10, "canary")
    # Each has an effect in one mode only, and KServe takes only one of both forms of the URL.
    assert "canaryTrafficPercent" not in predictor
    assert "storageUri" not in predictor["model"]
    write_manifests(deployment(version=7, canary=None, **standard), tmp_path / "one")
    (service,) = of_kind(manifests.built(tmp_path / "one"), "InferenceService")
    assert "canary" not in service["spec"]
