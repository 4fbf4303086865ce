"""A models.config file: which versions of each model are served, and under which labels."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from bert_serving.errors import PublishError
from bert_serving.io.files import write_whole


@dataclass(frozen=True)
class ServedVersions:
    """Versions and labels of one model that a server is configured to serve.

    Attributes:
        versions: listed version numbers, ascending; None for a policy that follows the folder.
        labels: label to version.
    """

    versions: tuple[int, ...] | None
    labels: Mapping[str, int]

    def __str__(self) -> str:
        """Versions and labels for messages."""
        versions = "by policy" if self.versions is None else ", ".join(map(str, self.versions))
        labels = ", ".join(f"{label}={version}" for label, version in sorted(self.labels.items()))
        return f"versions {versions}; labels {labels or 'none'}"


class ModelsConfig:
    """The text of a models.config file, parsed by protobuf; changes return a new object.

    `change` keeps the comments before the first entry byte for byte. protobuf's parser drops
    comments, so those inside entries are lost and the entries are printed in its own format.
    """

    def __init__(self, text: str, source: str):
        """Parses the protobuf text format of a ModelServerConfig.

        Args:
            text: content of the file.
            source: its path, for messages.

        Raises:
            PublishError: the text is not a ModelServerConfig, or lists no models.
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
    def load(cls, path: Path) -> Self:
        """Reads a file.

        Raises:
            PublishError: it cannot be read, or is not a models.config.
        """
        try:
            return cls(path.read_text("utf-8"), str(path))
        except OSError as error:
            raise PublishError(f"{path}: cannot read it: {error.strerror}; check --config") from None
        except UnicodeDecodeError:
            raise PublishError(f"{path}: is not UTF-8 text; give a models.config file") from None

    def save(self, path: Path, *, instead_of: "ModelsConfig") -> None:
        """Writes the file completely or not at all, unless it was changed since it was read.

        Raises:
            PublishError: it was changed, or cannot be written.
        """
        try:
            if path.read_text("utf-8") != instead_of.text:
                raise PublishError(f"{path}: was changed by another process in the meantime; check it and try again")
            write_whole(path, self.text.encode())
        except OSError as error:
            raise PublishError(f"{path}: cannot write it: {error.strerror}; check its permissions") from None

    @property
    def names(self) -> list[str]:
        """Names of the models."""
        return [entry.name for entry in self.message.model_config_list.config]

    def only_name(self, name: str | None) -> str:
        """The name itself if the file lists it; for None, the only model of the file.

        Raises:
            PublishError: the file does not list the model, or lists several and none was named.
        """
        if name is None and len(self.names) == 1:
            return self.names[0]
        if name is None:
            raise PublishError(f"{self._source}: lists {', '.join(self.names)}; name one with --model")
        if name not in self.names:
            raise PublishError(f"{self._source}: has no model {name!r}; it lists {', '.join(self.names)}")
        return name

    def base_path(self, name: str) -> str:
        """Folder from which the servers load a model's versions."""
        return str(self._entry(self.message, name).base_path)

    def served(self, name: str) -> ServedVersions:
        """Versions and labels of a model."""
        entry = self._entry(self.message, name)
        specific = entry.model_version_policy.WhichOneof("policy_choice") == "specific"
        versions = tuple(sorted(entry.model_version_policy.specific.versions)) if specific else None
        return ServedVersions(versions, dict(entry.version_labels))

    def change(self, name: str, served: ServedVersions) -> "ModelsConfig":
        """The file with other versions and labels of one model."""
        message = model_server_config_pb2.ModelServerConfig()
        message.CopyFrom(self.message)
        entry = self._entry(message, name)
        if served.versions is not None:
            entry.model_version_policy.Clear()
            entry.model_version_policy.specific.versions.extend(served.versions)
        entry.version_labels.clear()
        for label, version in sorted(served.labels.items()):
            entry.version_labels[label] = version
        return ModelsConfig(
            _leading_comments(self.text) + text_format.MessageToString(message, as_utf8=True), self._source
        )

    @staticmethod
    def _entry(message: Any, name: str) -> Any:
        return next(entry for entry in message.model_config_list.config if entry.name == name)


def _leading_comments(text: str) -> str:
    lines = []
    for line in text.splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            break
        lines.append(f"{line}\n")
    return "".join(lines)
