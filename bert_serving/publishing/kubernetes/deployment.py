"""A published model to deploy on Kubernetes: which versions, from where, with which resources."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bert_serving.errors import PublishError
from bert_serving.publishing.kubernetes.object_names import check_object_names, dashed
from bert_serving.publishing.kubernetes.sizing import Sizing, Workload, compute_sizing
from bert_serving.publishing.published_versions import published_versions
from bert_serving.publishing.storage.location import open_location

KSERVE_OVERLAYS = ("kserve", "kserve-standard")
"""kustomize overlays for KServe: its Knative mode, and its Standard mode"""
OVERLAYS = ("cpu", "gpu", "canary", "canary-mesh", *KSERVE_OVERLAYS)
"""kustomize overlays that serve a model"""
CANARY_OVERLAYS = ("canary", "canary-mesh", "kserve-standard")
"""overlays that serve two versions"""


@dataclass(frozen=True)
class Deployment:
    """A model to deploy.

    Attributes:
        model: its name on the server.
        url: URL of the folder of models, s3:// or gs://.
        version: the serving version.
        canary: the version that the canary overlays compare it with; None if there is no other.
        overlay: kustomize overlay, one of `OVERLAYS`.
        namespace: Kubernetes namespace.
        workload: what the resources were computed from.
        folders: names of the folders of both versions, where they are not just the numbers.
    """

    model: str
    url: str
    version: int
    canary: int | None
    overlay: str
    namespace: str
    workload: Workload
    folders: Mapping[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Checks the values.

        Raises:
            PublishError: the overlay is unknown, pods cannot fetch from the URL, or servers, the
                storage or Kubernetes do not accept a name.
        """
        if self.overlay not in OVERLAYS:
            raise PublishError(f"there is no overlay {self.overlay!r}; give one of {', '.join(OVERLAYS)}")
        check_object_names(self.model, self.url, self.namespace, is_kserve=self.is_kserve)

    @property
    def is_kserve(self) -> bool:
        """Whether KServe runs the server."""
        return self.overlay in KSERVE_OVERLAYS

    @property
    def sizing(self) -> Sizing:
        """Resources of the pods."""
        return compute_sizing(self.workload)


def plan_deployment(
    model: str,
    url: str,
    *,
    overlay: str = "cpu",
    namespace: str | None = None,
    rate: float | None = None,
    throughput: float | None = None,
    load_seconds: float | None = None,
    processors: int = 2,
) -> Deployment:
    """Plans the deployment of a published model.

    With a canary overlay, the highest version is the canary and the one before it serves; otherwise
    the highest serves.

    Args:
        model: name of the model.
        url: URL of the folder of models.
        overlay: kustomize overlay, one of `OVERLAYS`.
        namespace: Kubernetes namespace; None to derive it from the model's name.
        rate: texts per second that all pods together must serve; None if unknown.
        throughput: measured texts per second of one pod; None if unknown.
        load_seconds: measured seconds until a version answers; None if unknown.
        processors: CPUs of one pod.

    Raises:
        PublishError: no version is complete, the storage does not answer, or a value is not valid.
    """
    namespace = dashed(model) if namespace is None else namespace
    # Before the storage is asked, so that a wrong name is not told as a missing version.
    check_object_names(model, url, namespace, is_kserve=overlay in KSERVE_OVERLAYS)
    location = open_location(url).below(model)
    complete = [version for version in published_versions(location) if version.complete]
    if not complete:
        raise PublishError(f"{location.url}: has no complete version; publish one first")
    numbers = [version.number for version in complete]
    has_canary = overlay in CANARY_OVERLAYS and len(numbers) > 1
    return Deployment(
        model=model,
        url=url,
        version=numbers[1] if has_canary else numbers[0],
        canary=numbers[0] if has_canary else None,
        overlay=overlay,
        namespace=namespace,
        # A swap loads two versions at once; the new one may be half the size of the one that it
        # replaces.
        workload=Workload(
            max(version.size for version in complete[:2]), rate, throughput, load_seconds, processors=processors
        ),
        folders={version.number: version.folder for version in complete[:2]},
    )
