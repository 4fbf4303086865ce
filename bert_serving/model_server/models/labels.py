"""Version labels: names that a model config gives to versions."""

from collections.abc import Mapping, Sequence

from bert_serving.errors import FailedPrecondition
from bert_serving.model_server.config.options import ModelConfig
from bert_serving.model_server.models.versions import AVAILABLE, VersionTable

Labels = Mapping[str, Mapping[str, int]]


def labels_of(configs: Sequence[ModelConfig]) -> dict[str, dict[str, int]]:
    """Version by label, by model."""
    return {config.name: dict(config.labels) for config in configs}


def check_labels(table: VersionTable, present: Labels, wanted: Labels, *, allow_unavailable: bool) -> None:
    """Checks that new labels lead somewhere.

    Args:
        table: state of the versions.
        present: labels in force.
        wanted: labels to come; one that is in force already is not checked.
        allow_unavailable: a label that does not exist yet may name a version that is not AVAILABLE.

    Raises:
        FailedPrecondition: a label names a version that cannot answer.
    """
    for name, labels in wanted.items():
        for label, version in labels.items():
            before = present.get(name, {}).get(label)
            record = table.get(name, version)
            if before == version or (record is not None and record.state == AVAILABLE):
                continue
            if before is None and allow_unavailable:
                continue
            raise FailedPrecondition(
                f"Request to assign label to version {version} of model {name}, which is not currently available for "
                "inference"
            )
