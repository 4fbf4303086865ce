"""Publishing to an object storage: saved_model.pb, which makes a version, is uploaded last."""

import contextlib

from bert_serving.errors import PublishError
from bert_serving.publishing.storage.file_sums import GRAPH_FILE
from bert_serving.publishing.storage.location import Location, Progress
from bert_serving.publishing.storage.package import Package
from bert_serving.publishing.storage.publication_claim import PublicationClaim


def publish_to_storage(
    package: Package, model: Location, version: int, progress: Progress, *, take_over: bool = False
) -> None:
    """Uploads a version; files that an interrupted upload completed are kept.

    Every file is read back and compared. No object is ever overwritten, so a publisher that was
    believed dead cannot damage the version of the one that took over.

    Args:
        package: files to publish.
        model: folder of the model's versions.
        version: number of the new version.
        progress: called with the bytes uploaded and read back.
        take_over: ignore the claim of another publisher.

    Raises:
        PublishError: the version exists, another process is publishing it, or the storage fails.
    """
    claim = PublicationClaim.take(model, version, take_over=take_over)
    try:
        target = model.below(str(version))
        uploaded = target.sizes()
        if GRAPH_FILE in uploaded:
            raise PublishError(f"{target.url}: version {version} exists and is never overwritten")
        for name in uploaded.keys() - set(package.names):
            target.remove(name)
        for name in package.names:
            if name == GRAPH_FILE:
                claim.check()
            _upload(package, target, name, progress, is_uploaded=name in uploaded)
    finally:
        # If the storage has failed, this fails too; the first error says more.
        with contextlib.suppress(PublishError):
            claim.release()


def _upload(package: Package, target: Location, name: str, progress: Progress, *, is_uploaded: bool) -> None:
    digest = package.digest(name)
    if is_uploaded:
        if target.digest(name, progress) == digest:
            return
        target.remove(name)
    if name in package.generated:
        is_new = target.create(name, package.generated[name])
    else:
        is_new = target.upload(package.source / name, name, progress)
    if not is_new:
        raise PublishError(
            f"{target.url}: another process is writing {name} at the same time; check with `bert-serving versions`"
        )
    if target.digest(name, progress) != digest:
        target.remove(name)
        raise PublishError(f"{target.url}: {name} differs after the upload; publish again")
