"""Publication claims, which replace file locks on object storages: one publisher per version.

A claim is a small file `.publishing-VERSION/claim-NNNNNN.json` beside the versions, numbered in
ascending order. It is created only if no file of its name exists; of two concurrent writers, the
storage accepts one. The claim with the highest number holds.
"""

from typing import Self

from bert_serving.errors import PublishError
from bert_serving.publishing.storage.location import Location
from bert_serving.publishing.storage.publisher import Publisher

CLAIM_FOLDER = ".publishing-"
"""prefix of the folder with the claims on a version, before the version's number"""


class PublicationClaim:
    """The exclusive right to write a version, from `take` to `release`."""

    def __init__(self, folder: Location, number: int):
        """Describes a claim; `take` makes one."""
        self._folder = folder
        self._number = number

    @classmethod
    def take(cls, model: Location, version: int, *, take_over: bool = False) -> Self:
        """Claims a version.

        Args:
            model: folder of the model's versions.
            version: number of the version to write.
            take_over: ignore the claim of another publisher.

        Raises:
            PublishError: another process is publishing this version.
        """
        folder = model.below(f"{CLAIM_FOLDER}{version}")
        numbers = _numbers(folder)
        holder = Publisher.parse(folder.read(_name(numbers[-1]))) if numbers else None
        if holder is not None and not holder.has_ended and not take_over:
            raise PublishError(
                f"{model.url}: version {version} is being published by {holder}; wait for it, "
                "or give --take-over if that process has ended"
            )
        number = numbers[-1] + 1 if numbers else 1
        if not folder.create(_name(number), Publisher.current().to_json()):
            raise PublishError(
                f"{model.url}: another process has just started to publish version {version}; wait for it"
            )
        return cls(folder, number)

    def check(self) -> None:
        """Checks that no other publisher has taken over.

        Raises:
            PublishError: one has.
        """
        if _numbers(self._folder)[-1:] != [self._number]:
            raise PublishError(
                f"{self._folder.url}: another publisher has taken over this version; let it finish, or publish again"
            )

    def release(self) -> None:
        """Deletes this claim and the earlier ones, whose processes have ended."""
        for number in _numbers(self._folder):
            if number <= self._number:
                self._folder.remove(_name(number))


def _numbers(folder: Location) -> list[int]:
    names = [name.removeprefix("claim-").removesuffix(".json") for name in folder.names()]
    return sorted(int(name) for name in names if name.isascii() and name.isdigit())


def _name(number: int) -> str:
    return f"claim-{number:06}.json"
