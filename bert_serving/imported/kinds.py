"""The kinds of files that a fine-tuned classifier comes in, and how each is recognized; free of TensorFlow."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bert_serving import contract
from bert_serving.encoders.conversion.layout import check_layout, read_object
from bert_serving.errors import ExportError
from bert_serving.imported.options import ImportOptions
from bert_serving.imported.unsupported import unsupported

_CONFIG, _TASK, _WEIGHTS = "config.json", "task.json", "model.safetensors"
_KERAS_FILES = (".keras", ".h5", ".hdf5")
_TOLD = ("--labels", "--head", "--sequence-length", "--pairs")


@dataclass(frozen=True)
class Kind:
    """A kind of file or folder that holds a fine-tuned classifier.

    Attributes:
        name: for messages.
        matches: whether a path is of this kind.
        takes: the options of the command line that it needs or allows; what the others tell is in its files.
    """

    name: str
    matches: Callable[[Path], bool]
    takes: tuple[str, ...]


def kind_of(source: Path) -> Kind:
    """The kind of a file or folder.

    Raises:
        EncoderError: it is recognized as something that is not a whole model, or is a model of an unsupported family.
        ExportError: it is of no kind that can be exported.
    """
    kind = next((kind for kind in KINDS if kind.matches(source)), None)
    if kind is None:
        check_layout(source)
        raise ExportError(f"{source}: {unsupported(source)}")
    if kind is HUGGING_FACE:
        check_layout(source)
    return kind


def check_told(source: Path, kind: Kind, options: ImportOptions) -> None:
    """Refuses options that a kind has no use for.

    Raises:
        ExportError: it has the facts in its own files.
    """
    surplus = [option for option, given in options.given().items() if given and option not in kind.takes]
    if surplus:
        raise ExportError(
            f"{source}: is a {kind.name}, whose files tell what {' and '.join(surplus)} would; leave it out"
        )


def _is_saved_model(path: Path) -> bool:
    return (path / contract.GRAPH_FILE).is_file()


def _is_keras_file(path: Path) -> bool:
    return path.is_file() and path.suffix in _KERAS_FILES


def _is_keras_hub(path: Path) -> bool:
    return (path / _TASK).is_file() or "class_name" in read_object(path / _CONFIG)


def _is_checkpoint(path: Path) -> bool:
    """A folder of Hugging Face may still have its old checkpoint in it."""
    has_config = any((path / name).is_file() for name in ("bert_config.json", _CONFIG))
    return has_config and any(path.glob("*.ckpt*.index")) and not (path / _WEIGHTS).is_file()


def _is_hugging_face(path: Path) -> bool:
    return (path / _CONFIG).is_file()


SAVED_MODEL = Kind("SavedModel", _is_saved_model, (*_TOLD, "--vocabulary"))
KERAS_FILE = Kind("Keras file", _is_keras_file, _TOLD)
KERAS_HUB = Kind("KerasHub preset", _is_keras_hub, _TOLD)
CHECKPOINT = Kind("checkpoint of TensorFlow 1", _is_checkpoint, _TOLD)
HUGGING_FACE = Kind("Hugging Face folder", _is_hugging_face, ("--sequence-length", "--pairs"))
# Several have a config.json, so the order matters.
KINDS = (SAVED_MODEL, KERAS_FILE, KERAS_HUB, CHECKPOINT, HUGGING_FACE)
