"""A claim on a version of a storage without locks: one publisher at a time.

Claims are small files with rising numbers beside the versions, each created only if there is none of its name, which storages
decide for one of two writers. The highest counts.
"""

from bert_serving.errors import PublishError
from bert_serving.publishing.storage.location import Place
from bert_serving.publishing.storage.publisher import Publisher


class Claim:
    """The right to write a version, from `take` to `release`."""

    def __init__(self, folder: Place, number: int):
        """Describes a claim; `take` makes one."""
        self._folder = folder
        self._number = number

    @classmethod
    def take(cls, model: Place, version: int, *, take_over: bool = False) -> "Claim":
        """Claims a version.

        Args:
            model: the model's folder.
            version: its number.
            take_over: do not mind the claim of another publisher.

        Raises:
            PublishError: another process publishes this version.
        """
        folder = model.below(f".publishing-{version}")
        numbers = _numbers(folder)
        holder = Publisher.parse(folder.read(_name(numbers[-1]))) if numbers else None
        if holder is not None and not holder.gone and not take_over:
            raise PublishError(
                f"{model.url}: version {version} is being published by {holder}; wait for it, "
                "or give --take-over when that process is gone"
            )
        claim = cls(folder, numbers[-1] + 1 if numbers else 1)
        if not folder.create(_name(claim._number), Publisher.current().text()):
            raise PublishError(
                f"{model.url}: another process began to publish version {version} a moment ago; wait for it"
            )
        return claim

    def check(self) -> None:
        """Makes sure that nobody took over.

        Raises:
            PublishError: somebody did.
        """
        numbers = _numbers(self._folder)
        if not numbers or numbers[-1] != self._number:
            raise PublishError(f"{self._folder.url}: another publisher has taken over; nothing more is written here")

    def release(self) -> None:
        """Gives the claim back, and removes those of processes that are gone."""
        for number in _numbers(self._folder):
            if number <= self._number:
                self._folder.remove(_name(number))


def _numbers(folder: Place) -> list[int]:
    names = [name.removeprefix("claim-").removesuffix(".json") for name in folder.names()]
    return sorted(int(name) for name in names if name.isascii() and name.isdigit())


def _name(number: int) -> str:
    return f"claim-{number:06}.json"
