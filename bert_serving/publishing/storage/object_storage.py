"""Publishing to an object storage: every file, then the one that makes them a version."""

import contextlib

from bert_serving.errors import PublishError
from bert_serving.publishing.storage.claim import Claim
from bert_serving.publishing.storage.file_sums import GRAPH_FILE
from bert_serving.publishing.storage.location import Place, Progress
from bert_serving.publishing.storage.package import Package


def publish_to_storage(
    package: Package, model: Place, version: int, progress: Progress, *, take_over: bool = False
) -> None:
    """Uploads a version; one that was broken off goes on where it stood, file by file.

    Every file is read back and compared. No file is ever written over another, so that a publisher which was thought gone
    and is not can do no harm.

    Args:
        package: what to publish.
        model: the model's folder.
        version: its number there.
        progress: told of bytes uploaded and bytes read back.
        take_over: do not mind the claim of another publisher.

    Raises:
        PublishError: the version is there, another process publishes it, or the storage fails.
    """
    claim = Claim.take(model, version, take_over=take_over)
    try:
        target = model.below(str(version))
        there = target.sizes()
        if GRAPH_FILE in there:
            raise PublishError(f"{target.url}: version {version} exists and is never overwritten")
        for name in there.keys() - set(package.names):
            target.remove(name)
        for name in package.names:
            if name == GRAPH_FILE:
                claim.check()
            _bring(package, target, name, there, progress)
    finally:
        # A storage that fails now fails here, too, and its first error tells more.
        with contextlib.suppress(PublishError):
            claim.release()


def _bring(package: Package, target: Place, name: str, there: dict[str, int], progress: Progress) -> None:
    wanted = package.digest(name)
    if name in there:
        if target.digest(name, progress) == wanted:
            return
        target.remove(name)
    if name in package.written:
        arrived = target.create(name, package.written[name])
    else:
        arrived = target.upload(package.source / name, name, progress)
    if not arrived:
        raise PublishError(
            f"{target.url}: another process writes {name} at the same time; look with `bert-serving versions`"
        )
    if target.digest(name, progress) != wanted:
        target.remove(name)
        raise PublishError(f"{target.url}: {name} arrived damaged, or changed under way; publish again")
