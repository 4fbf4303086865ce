"""The steps that change version labels, in an order that no server refuses."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bert_serving.errors import PublishError
from bert_serving.names import version_number
from bert_serving.publishing.rollout.models_config import ServedVersions

# A label is one part of a URL, /labels/LABEL:predict.
_LABEL = re.compile(r"[^/:%?#\s]+")


@dataclass(frozen=True)
class Step:
    """One change of the served versions and labels.

    Attributes:
        what: description of the step, in lower case.
        served: versions and labels after the step.
        awaited: versions that must be AVAILABLE before the next step.
    """

    what: str
    served: ServedVersions
    awaited: tuple[int, ...] = ()


def plan_steps(
    now: ServedVersions, loaded: Sequence[int], labels: Mapping[str, int], *, load: Sequence[int] = ()
) -> list[Step]:
    """The steps from one set of labels to another.

    A server refuses a label of a version that is not AVAILABLE. Therefore a new version is loaded
    first, then awaited, then labeled. The version that a label leaves stays loaded, so that a
    rollback is immediate. Versions that an earlier change left loaded are unloaded first, so that a
    server never holds more versions than necessary.

    Args:
        now: versions and labels before the change.
        loaded: versions that are loaded now, with any policy.
        labels: all labels after the change.
        load: versions to load without a label.
    """
    previous = {version for label, version in now.labels.items() if labels.get(label) != version}
    required = {*labels.values(), *previous, *load}
    kept, final = set(loaded), required
    if now.labels:
        kept &= required | set(now.labels.values())
    else:
        # Without labels, clients use the latest version, so every loaded version stays.
        final = required | kept
    steps = []
    unloaded = sorted(set(loaded) - kept)
    added = sorted(required - set(loaded))
    if unloaded and added:
        steps.append(Step(f"unload {_joined(unloaded)}", ServedVersions(tuple(sorted(kept)), now.labels)))
    if added:
        served = ServedVersions(tuple(sorted(kept | required)), now.labels)
        steps.append(Step(f"load {_joined(added)}", served, tuple(added)))
    end = ServedVersions(tuple(sorted(final)), dict(labels))
    if end != (steps[-1].served if steps else now):
        what = _label_changes(now.labels, labels) or f"list {_joined(sorted(final))}"
        steps.append(Step(what, end, tuple(sorted(set(labels.values())))))
    return steps


def parse_labels(arguments: Sequence[str], now: Mapping[str, int]) -> dict[str, int]:
    """All labels after changes such as "stable=7"; "canary=" removes a label.

    Args:
        arguments: the changes.
        now: label to version before them.

    Raises:
        PublishError: an argument has another form, or removes a label that does not exist.
    """
    labels = dict(now)
    for argument in arguments:
        label, equals, version = argument.partition("=")
        if not equals or not _LABEL.fullmatch(label) or not label.isprintable():
            raise PublishError(
                f"{argument!r} is not a label; give label=version such as stable=7, or canary= to remove a label"
            )
        if not version:
            if label not in labels:
                raise PublishError(
                    f"no label {label!r} to remove; the labels are {', '.join(sorted(labels)) or 'none'}"
                )
            del labels[label]
        elif (number := version_number(version)) is not None:
            labels[label] = number
        else:
            raise PublishError(f"{argument!r}: {version!r} is not a version; give a positive integer such as stable=7")
    return labels


def _label_changes(before: Mapping[str, int], after: Mapping[str, int]) -> str:
    parts = []
    for label in sorted({*before, *after}):
        old, new = before.get(label), after.get(label)
        if old == new:
            continue
        if new is None:
            parts.append(f"remove {label} from {old}")
        else:
            parts.append(f"label {new} {label}" if old is None else f"move {label} from {old} to {new}")
    return ", ".join(parts)


def _joined(versions: Sequence[int]) -> str:
    return ", ".join(map(str, versions))
