"""Rollout of version labels in models.config and on servers; reverted if a server fails."""

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bert_serving.errors import PublishError, RolloutError
from bert_serving.names import version_number
from bert_serving.observer import Observer
from bert_serving.publishing.published_versions import published_numbers
from bert_serving.publishing.rollout.label_history import last_change, record_change, remove_change
from bert_serving.publishing.rollout.label_plan import Step, parse_labels, plan_steps
from bert_serving.publishing.rollout.models_config import ModelsConfig, ServedVersions
from bert_serving.publishing.rollout.server_group import ServerGroup
from bert_serving.publishing.storage.location import open_location


@dataclass(frozen=True)
class Rollout:
    """A model in a models.config, and the servers that serve it.

    Attributes:
        path: path of models.config.
        servers: the running servers; without any, only the file is changed.
        model: name of the model; None if the file lists only one.
        published_at: folder or URL of the published versions; None for the model's base_path,
            checked only if it is a local folder.
        observer: told of each step.
    """

    path: Path
    servers: ServerGroup
    model: str | None = None
    published_at: str | None = None
    observer: Observer = field(default_factory=Observer)

    def change_labels(self, labels: Sequence[str], load: Sequence[int] = ()) -> tuple[str, ServedVersions, bool]:
        """Changes labels, and records the change for `roll_back`.

        Args:
            labels: changes such as "stable=7"; "canary=" removes a label.
            load: versions to load without a label.

        Returns:
            name of the model, its versions and labels now, and whether anything was changed.

        Raises:
            PublishError: a version is not published, or a server would refuse a step; nothing has
                changed.
            RolloutError: a server failed; everything is as before.
        """
        if not labels and not load:
            raise PublishError("nothing to do; give label=version such as stable=7, or --load 8")
        if wrong := [version for version in load if version_number(str(version)) is None]:
            raise PublishError(f"--load {wrong[0]}: is not a version; give a number such as --load 8")
        config = ModelsConfig.load(self.path)
        name = config.only_name(self.model)
        before = config.served(name)
        target = parse_labels(labels, before.labels)
        after, is_changed = self._apply(config, name, target, load)
        if target != before.labels:
            record_change(self.path, name, before, after)
        return name, after, is_changed

    def roll_back(self) -> tuple[str, ServedVersions, bool]:
        """Reverts the last recorded change; the next call reverts the one before it.

        Returns:
            as `change_labels`.

        Raises:
            PublishError, RolloutError: as `change_labels`; or no change is recorded.
        """
        config = ModelsConfig.load(self.path)
        name = config.only_name(self.model)
        change = last_change(self.path, name, config.served(name))
        after, is_changed = self._apply(config, name, change.before, ())
        remove_change(self.path, change)
        return name, after, is_changed

    def _apply(
        self, config: ModelsConfig, name: str, labels: dict[str, int], load: Sequence[int]
    ) -> tuple[ServedVersions, bool]:
        now = config.served(name)
        self._check_published(config.base_path(name), {*labels.values(), *load})
        try:
            available = self.servers.available(name)
            loaded = now.versions
            if loaded is None:
                loaded = tuple(sorted({number for numbers in available.values() for number in numbers}))
            steps = plan_steps(now, loaded, labels, load=load)
            added = sorted({*labels.values(), *load} - set(loaded))
            if not self.servers.addresses and added and labels != now.labels:
                raise PublishError(
                    f"{self.path} does not load version {added[0]} yet, and a server refuses a label of a version that it has "
                    f"not loaded; give --server, or first `bert-serving label --load {added[0]}`, and set the label once the "
                    "servers have loaded it"
                )
            return self._take_steps(config, name, steps).served(name), bool(steps)
        finally:
            self.servers.close()

    def _check_published(self, base_path: str, versions: Iterable[int]) -> None:
        base = self.published_at or base_path
        if self.published_at is None and not Path(base).is_dir():
            return  # the servers' folder is not on this machine
        location = open_location(base)
        location.check()
        published = published_numbers(location)
        for version in sorted(versions):
            if version not in published:
                listed = ", ".join(map(str, published)) or "none"
                raise PublishError(f"{base}: there is no version {version}; published are {listed}")

    def _take_steps(self, config: ModelsConfig, name: str, steps: Sequence[Step]) -> ModelsConfig:
        """Takes the steps in the file and on every server; if one fails, reverts all of them.

        The file is written before the servers are told, so that servers that poll the file do not
        undo a step.
        """
        current = config
        try:
            for step in steps:
                changed = current.change(name, step.served)
                with self.observer.stage(step.what[:1].upper() + step.what[1:]):
                    changed.save(self.path, instead_of=current)
                    current = changed
                    self.servers.reload(current.message)
                    self.servers.wait_until_served(name, step.awaited)
        except (RolloutError, KeyboardInterrupt) as error:
            config.save(self.path, instead_of=current)
            for address in self.servers.addresses:
                with contextlib.suppress(RolloutError):
                    self.servers.reload_server(address, config.message)
            if isinstance(error, RolloutError):
                raise RolloutError(f"{error}; {self.path.name} and the servers are as before") from None
            raise
        return current
