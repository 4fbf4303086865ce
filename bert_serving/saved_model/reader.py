"""An exported classifier, loaded into this process for predictions."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_text  # noqa: F401 - registers the operations that the graph needs

from bert_serving import contract
from bert_serving.errors import ExportError, InputError
from bert_serving.saved_model.manifest import Manifest, load_manifest
from bert_serving.saved_model.operations.audit import read_meta_graph

_BATCH = 64


class ExportedModel:
    """A loaded version folder.

    Attributes:
        folder: the version folder.
        manifest: its manifest; None for a SavedModel of another origin.
    """

    def __init__(self, folder: Path):
        """Loads a SavedModel.

        Raises:
            ExportError: the folder holds no SavedModel, or it cannot be loaded.
        """
        _check_assets(folder)
        self.folder = folder
        self.manifest: Manifest | None = load_manifest(folder)
        try:
            self._model: Any = tf.saved_model.load(str(folder), tags=[contract.SERVING_TAG])
        except (OSError, ValueError, RuntimeError, LookupError, tf.errors.OpError) as error:
            raise ExportError(f"{folder}: cannot load the SavedModel: {str(error).splitlines()[0]}") from None

    @property
    def signatures(self) -> dict[str, Any]:
        """Concrete functions by signature name."""
        return dict(self._model.signatures)

    def call(self, signature: str, **inputs: Any) -> dict[str, np.ndarray]:
        """Calls a signature with arrays or lists and returns arrays."""
        function = self.signatures[signature]
        specifications = function.structured_input_signature[1]
        tensors = {name: tf.constant(value, specifications[name].dtype) for name, value in inputs.items()}
        return {name: value.numpy() for name, value in function(**tensors).items()}

    def predict(self, texts: Sequence[str | bytes], pairs: Sequence[str | bytes] | None = None) -> np.ndarray:
        """Probabilities of texts, float32 [N, C].

        Raises:
            InputError: the model takes pairs and got single texts, or vice versa, or has no such signature.
        """
        return self.answers(texts, pairs)[contract.PROBABILITIES]

    def answers(
        self, texts: Sequence[str | bytes], pairs: Sequence[str | bytes] | None = None
    ) -> dict[str, np.ndarray]:
        """All outputs of `serving_default` for texts, each [N, ...].

        Raises:
            InputError: as for `predict`.
        """
        function = self.signatures.get(contract.SERVING_DEFAULT)
        names = set(function.structured_input_signature[1]) if function is not None else set()
        needed = {contract.TEXT} if pairs is None else {contract.TEXT, contract.TEXT_PAIR}
        if names != needed:
            raise InputError(
                f"{self.folder}: serving_default takes {', '.join(sorted(names)) or 'nothing'}, the data has {', '.join(sorted(needed))}"
            )
        # Texts of similar length share a batch, so that a trimmed graph has little to pad.
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        parts: list[dict[str, np.ndarray]] = []
        for start in range(0, len(order), _BATCH):
            index = order[start : start + _BATCH]
            inputs = {contract.TEXT: [texts[i] for i in index]}
            if pairs is not None:
                inputs[contract.TEXT_PAIR] = [pairs[i] for i in index]
            parts.append(self.call(contract.SERVING_DEFAULT, **inputs))
        if not parts:
            return self.call(contract.SERVING_DEFAULT, **{name: [] for name in names})
        places = np.argsort(order)
        return {name: np.concatenate([part[name] for part in parts])[places] for name in parts[0]}


def _check_assets(folder: Path) -> None:
    """Checks that the assets exist; TensorFlow's own error names a missing one in the middle of a trace."""
    for asset in read_meta_graph(folder).asset_file_def:
        if not (folder / contract.ASSETS_FOLDER / asset.filename).is_file():
            raise ExportError(
                f"{folder}: damaged SavedModel: {contract.ASSETS_FOLDER}/{asset.filename} is missing; export again"
            )
