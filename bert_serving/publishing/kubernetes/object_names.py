"""Names of a deployment that Kubernetes, KServe, the storage and the server must accept."""

import re
from urllib.parse import urlsplit

from bert_serving import names
from bert_serving.errors import PublishError
from bert_serving.publishing.storage.address import check_address, check_names

SCHEMES = ("s3", "gs")
"""URL schemes from which pods can fetch models"""

# The manifests and the sync containers' settings hold the path unquoted.
_PATH = re.compile(r"[A-Za-z0-9_./=+-]*")
# What KServe adds to the name of an InferenceService: in a host, one part of which ends in the namespace, and in the name of the canary's
# Service. Neither may be longer than 63 characters.
_IN_HOST = "-predictor-"
_IN_SERVICE = "-canary-predictor"


def dashed(model: str) -> str:
    """A model's name as Kubernetes spells names: the default for the namespace, and KServe's InferenceService."""
    return model.replace("_", "-").replace(".", "-").lower()


def check_object_names(model: str, url: str, namespace: str, *, is_kserve: bool) -> None:
    """Checks the names from which all others in the manifests are made.

    Raises:
        PublishError: pods cannot fetch from the URL, or a name is not accepted; the message has one that would be.
    """
    check_address(url)
    address = urlsplit(url)
    if address.scheme not in SCHEMES or not address.netloc:
        raise PublishError(
            f"{url}: pods can fetch models only from s3:// and gs://; "
            "publish there, or edit model-source in k8s/base by hand"
        )
    check_names(url)
    if not _PATH.fullmatch(url.partition("://")[2].partition("/")[2]):
        raise PublishError(
            f"{url}: a path in manifests has only letters (a-z), digits and . _ - + = /; publish elsewhere"
        )
    if problem := names.MODEL.problem(model):
        raise PublishError(f"{problem}; give it with --model")
    if problem := names.NAMESPACE.problem(namespace):
        raise PublishError(f"{problem}; give it with --namespace")
    if is_kserve:
        _check_service(dashed(model), namespace)


def _check_service(service: str, namespace: str) -> None:
    longest = names.INFERENCE_SERVICE.longest - max(len(_IN_SERVICE), len(_IN_HOST) + len(namespace))
    if longest < 1:
        raise PublishError(
            f"the namespace {namespace!r}, {len(namespace)} characters, leaves no room for the InferenceService in KServe's "
            f"host NAME{_IN_HOST}{namespace}, of at most 63 characters; give a shorter --namespace"
        )
    if problem := names.INFERENCE_SERVICE.problem(service, longest=longest):
        remedy = "publish the model under that name (publish --name)"
        if len(service) > longest:
            remedy += f", or give a shorter --namespace: KServe makes the host {service}{_IN_HOST}{namespace} of both"
        raise PublishError(f"{problem}; {remedy}")
