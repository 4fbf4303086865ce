"""Where a fine-tuned classifier is: a path, or an address that is fetched first."""

from pathlib import Path

from bert_serving.errors import ExportError
from bert_serving.observer import Observer

ADDRESS = "hf://"
_SCHEME = "://"


def local_source(source: str, observer: Observer) -> Path:
    """The path of a source; a repository hf://owner/name[@revision] is fetched once.

    Raises:
        EncoderError: the address is not one of a repository.
        ExportError: it is an address of another kind.
        SourceError: the repository cannot be fetched.
    """
    if not source.startswith(ADDRESS):
        if _SCHEME in source:
            raise ExportError(f"{source}: cannot be fetched; give hf://owner/name, or a path")
        return Path(source)
    from bert_serving.encoders.catalog.handles import find_handle  # noqa: PLC0415  brings TensorFlow
    from bert_serving.encoders.download.sources import fetch_first  # noqa: PLC0415
    from bert_serving.io.cache import cached  # noqa: PLC0415

    handle = find_handle(source)
    with observer.stage(f"Fetching {source}"):
        return cached(
            f"{handle.key}-classifier",
            lambda target: fetch_first(
                handle.name, handle.sources, target, progress=observer.download, passed_over=observer.note
            ),
        )
