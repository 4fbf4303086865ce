"""Version labels: names that a model's configuration gives to its versions."""

from collections.abc import Callable, Mapping, Sequence

from bert_serving.errors import FailedPrecondition
from bert_serving.model_server.config.options import ModelConfig
from bert_serving.model_server.models.versions import VersionTable


def check_labels(
    table: VersionTable,
    present_labels: Callable[[str], Mapping[str, int]],
    configs: Sequence[ModelConfig],
    *,
    allow_unavailable: bool,
) -> None:
    """Checks that the labels of a new configuration name versions that can answer.

    Args:
        table: state of the versions.
        present_labels: version by label of a model now; unchanged labels are not checked.
        configs: the new configuration.
        allow_unavailable: a new label may name a version that is not AVAILABLE.

    Raises:
        FailedPrecondition: a label names a version that cannot answer.
    """
    for config in configs:
        present = present_labels(config.name)
        for label, version in config.labels.items():
            if present.get(label) == version or table.is_available(config.name, version):
                continue
            if label not in present and allow_unavailable:
                continue
            raise FailedPrecondition(
                f"Request to assign label to version {version} of model {config.name}, which is not currently "
                "available for inference"
            )
