"""Checks a SavedModel from elsewhere before it is loaded: loading runs its graph, which can read and write files."""

from pathlib import Path, PurePosixPath

from google.protobuf.message import DecodeError
from tensorflow.core.protobuf.meta_graph_pb2 import MetaGraphDef
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from bert_serving import contract
from bert_serving.errors import EncoderError
from bert_serving.unsafe_operations import unsafe_operations

_NAMED = 5


def check_harmless(folder: Path, *, remedy: str = "set encoder.trusted = true if you trust its author") -> None:
    """Refuses a SavedModel with operations that read or write files, run code or talk to other processes.

    The graph is read, never run. Reading variables by the saver and a vocabulary from the assets is allowed.

    Args:
        folder: the SavedModel.
        remedy: ends the message.

    Raises:
        EncoderError: it has such operations, an asset outside its folder, or cannot be read.
    """
    # All graphs, whichever the tags select.
    graphs = _read(folder)
    outside = [asset.filename for graph in graphs for asset in graph.asset_file_def if _leads_out(asset.filename)]
    unsafe = {name: reason for graph in graphs for name, reason in unsafe_operations(graph).items()}
    problems = [f"{name} ({reason})" for name, reason in unsafe.items()]
    problems += [f"the asset {name!r} (lies outside the SavedModel)" for name in outside]
    if problems:
        listed = ", ".join(problems[:_NAMED])
        listed += f" and {len(problems) - _NAMED} more" if len(problems) > _NAMED else ""
        raise EncoderError(f"{folder}: has unsafe operations: {listed}; it is not loaded, {remedy}")


def _read(folder: Path) -> list[MetaGraphDef]:
    try:
        graphs = SavedModel.FromString((folder / contract.GRAPH_FILE).read_bytes()).meta_graphs
    except (OSError, DecodeError) as error:
        raise EncoderError(f"{folder}: cannot read its saved_model.pb: {error}; fetch it again") from None
    if not graphs:
        raise EncoderError(f"{folder}: its saved_model.pb holds no graph; fetch it again")
    return list(graphs)


def _leads_out(name: str) -> bool:
    path = PurePosixPath(name)
    return path.is_absolute() or ".." in path.parts
