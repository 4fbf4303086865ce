"""A models.config file: which versions of each model are served, and under which labels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from bert_serving.errors import PublishError
from bert_serving.files import write_whole

PLATFORM = "tensorflow"


@dataclass(frozen=True)
class Served:
    """What a server does with the versions of one model.

    Attributes:
        versions: those listed by number, ascending; None for a policy that follows the folder.
        labels: label to version.
    """

    versions: tuple[int, ...] | None
    labels: Mapping[str, int]

    def __str__(self) -> str:
        versions = "by policy" if self.versions is None else ", ".join(map(str, self.versions))
        labels = ", ".join(f"{label}={version}" for label, version in sorted(self.labels.items()))
        return f"versions {versions}; labels {labels or 'none'}"


class ModelsConfig:
    """The text of a models.config file; changes make a new one."""

    def __init__(self, text: str, source: str):
        """Reads the protobuf text form of a ModelServerConfig.

        Raises:
            PublishError: it is none, or lists no models.
        """
        self.text = text
        self._source = source
        self.message: Any = model_server_config_pb2.ModelServerConfig()
        try:
            text_format.Parse(text, self.message)
        except text_format.ParseError as error:
            raise PublishError(f"{source}:{' '.join(str(error).split())}; give a models.config file") from None
        if not self.message.model_config_list.config:
            raise PublishError(f"{source}: lists no model; give a models.config file with a model_config_list")

    @classmethod
    def load(cls, path: Path) -> "ModelsConfig":
        """Reads a file.

        Raises:
            PublishError: it cannot be read, or is no models.config.
        """
        try:
            return cls(path.read_text("utf-8"), str(path))
        except OSError as error:
            raise PublishError(f"{path}: cannot read it: {error.strerror}; check --config") from None
        except UnicodeDecodeError:
            raise PublishError(f"{path}: is not UTF-8 text; give a models.config file") from None

    def save(self, path: Path, *, instead_of: "ModelsConfig") -> None:
        """Writes the file as a whole, unless somebody else has changed it since it was read.

        Raises:
            PublishError: it has changed, or cannot be written.
        """
        try:
            if path.read_text("utf-8") != instead_of.text:
                raise PublishError(f"{path}: was changed by somebody else meanwhile; look at it and try again")
            write_whole(path, self.text.encode())
        except OSError as error:
            raise PublishError(f"{path}: cannot write it: {error.strerror}") from None

    @property
    def names(self) -> list[str]:
        """Names of the models."""
        return [entry.name for entry in self.message.model_config_list.config]

    def only_name(self, name: str | None) -> str:
        """The model that is meant: the one named, or the only one.

        Raises:
            PublishError: there is no such model, or there are several and none was named.
        """
        if name is None and len(self.names) == 1:
            return self.names[0]
        if name is None:
            raise PublishError(f"{self._source}: lists {', '.join(self.names)}; name one with --model")
        if name not in self.names:
            raise PublishError(f"{self._source}: has no model {name!r}; it lists {', '.join(self.names)}")
        return name

    def base_path(self, name: str) -> str:
        """Where the servers find a model's versions."""
        return self._entry(name).base_path

    def served(self, name: str) -> Served:
        """What servers do with a model's versions."""
        entry = self._entry(name)
        specific = entry.model_version_policy.WhichOneof("policy_choice") == "specific"
        versions = tuple(sorted(entry.model_version_policy.specific.versions)) if specific else None
        return Served(versions, dict(entry.version_labels))

    def latest_count(self, name: str) -> int | None:
        """How many of the highest versions a policy that follows the folder serves; None means all."""
        policy = self._entry(name).model_version_policy
        return None if policy.WhichOneof("policy_choice") == "all" else policy.latest.num_versions or 1

    def change(self, name: str, served: Served) -> "ModelsConfig":
        """The file with other versions and labels of one model. Comments before the first entry are kept."""
        message = model_server_config_pb2.ModelServerConfig()
        message.CopyFrom(self.message)
        entry = next(each for each in message.model_config_list.config if each.name == name)
        if served.versions is not None:
            entry.model_version_policy.Clear()
            entry.model_version_policy.specific.versions.extend(served.versions)
        entry.version_labels.clear()
        for label, version in sorted(served.labels.items()):
            entry.version_labels[label] = version
        return ModelsConfig(_head(self.text) + text_format.MessageToString(message, as_utf8=True), self._source)

    def _entry(self, name: str) -> Any:
        return next(entry for entry in self.message.model_config_list.config if entry.name == name)


@dataclass(frozen=True)
class Step:
    """One state on the way to another.

    Attributes:
        what: what it does, for people.
        served: what servers are told.
        awaited: versions that must be AVAILABLE before the next step.
    """

    what: str
    served: Served
    awaited: tuple[int, ...] = ()


def plan(now: Served, loaded: Sequence[int], labels: Mapping[str, int], *, load: Sequence[int] = ()) -> list[Step]:
    """The steps from one set of labels to another, none of which a server refuses.

    A server refuses a label of a version that is not AVAILABLE; so a version is added, waited for, and labeled last. The version
    that a label leaves stays loaded: going back takes no time. Versions that an earlier move left are unloaded first, so that a
    server never holds more than it must.

    Args:
        now: what is served.
        loaded: versions that are served now, whatever the policy says.
        labels: all labels as they shall be.
        load: versions to load without a label.
    """
    left_behind = {now.labels[label] for label in now.labels if labels.get(label) != now.labels[label]}
    wanted = {*labels.values(), *left_behind, *load}
    labeled = set(now.labels.values())
    # Where no label was in use, clients ask for the latest version, so nothing that serves is taken away.
    kept = set(loaded) if not labeled else set(loaded) & (labeled | wanted)
    final = wanted | (kept if not labeled else set())
    steps = []
    unloaded = sorted(set(loaded) - kept)
    added = sorted(wanted - set(loaded))
    if unloaded and added:
        steps.append(Step(f"unload {_listed(unloaded)}", Served(tuple(sorted(kept)), now.labels)))
    if added:
        at_once = Served(tuple(sorted(kept | wanted)), now.labels)
        steps.append(Step(f"load {_listed(added)}", at_once, tuple(added)))
    end = Served(tuple(sorted(final)), dict(labels))
    before = steps[-1].served if steps else now
    if end != replace(before, labels=dict(before.labels)):
        steps.append(
            Step(
                _moves(now.labels, labels) or f"list {_listed(sorted(final))}", end, tuple(sorted(set(labels.values())))
            )
        )
    return steps


def parse_labels(arguments: Sequence[str], now: Mapping[str, int]) -> dict[str, int]:
    """All labels after changes such as stable=7; `canary=` takes a label away.

    Raises:
        PublishError: an argument is none of that form, or takes away a label that is not there.
    """
    labels = dict(now)
    for argument in arguments:
        label, equals, version = argument.partition("=")
        if not equals or not label or any(character in "/:%" or character.isspace() for character in label):
            raise PublishError(
                f"{argument!r} is no label; give label=version such as stable=7, or canary= to take it away"
            )
        if not version:
            if label not in labels:
                raise PublishError(
                    f"there is no label {label!r} to take away; there are {', '.join(sorted(labels)) or 'none'}"
                )
            del labels[label]
        elif version.isascii() and version.isdigit() and int(version) > 0:
            labels[label] = int(version)
        else:
            raise PublishError(f"{argument!r}: {version!r} is no version; give a positive integer such as stable=7")
    return labels


def _moves(before: Mapping[str, int], after: Mapping[str, int]) -> str:
    parts = []
    for label in sorted({*before, *after}):
        old, new = before.get(label), after.get(label)
        if old == new:
            continue
        if new is None:
            parts.append(f"take {label} away from {old}")
        else:
            parts.append(f"label {new} {label}" if old is None else f"move {label} from {old} to {new}")
    return ", ".join(parts)


def _listed(versions: Sequence[int]) -> str:
    return ", ".join(map(str, versions))


def _head(text: str) -> str:
    lines = []
    for line in text.splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            break
        lines.append(line)
    return "".join(f"{line}\n" for line in lines)
