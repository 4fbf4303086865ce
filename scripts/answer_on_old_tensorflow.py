"""Runs an export under another TensorFlow version and compares its results with the golden texts.

python3.11 -m venv old
old/bin/pip install tensorflow-cpu==2.12.0 && old/bin/pip install --no-deps tensorflow-text==2.12.0
old/bin/python scripts/answer_on_old_tensorflow.py models/shop/1

Runs with Python 3.8 and later (TensorFlow before 2.12 needs 3.8) and without bert_serving. The
SavedModel is loaded by `TF_LoadSessionFromSavedModel` of TensorFlow's C API, the C++ loader that
TensorFlow Serving uses, and run by `TF_SessionRun`; the oldest TensorFlow for this is 2.4. Prints
one line; exit status 1 if the graph is refused.
"""

import base64
import ctypes
import importlib.util
import json
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf.meta_graph_pb2 import MetaGraphDef

STRING_SIZE = 24  # of a TF_TString


class Buffer(ctypes.Structure):
    """TF_Buffer of the C API."""

    _fields_ = (("data", ctypes.c_void_p), ("length", ctypes.c_size_t), ("deallocator", ctypes.c_void_p))


class Output(ctypes.Structure):
    """TF_Output of the C API: an operation and the index of its output."""

    _fields_ = (("operation", ctypes.c_void_p), ("index", ctypes.c_int))


class Session:
    """A SavedModel, loaded through the C API."""

    def __init__(self, folder):
        """Loads a version folder; RuntimeError if TensorFlow refuses it."""
        base = Path(tf.__file__).parent
        # Before 2.12 the core is inside Python's extension module.
        places = (base / "libtensorflow_cc.so.2", base / "python" / "_pywrap_tensorflow_internal.so")
        self.library = ctypes.CDLL(str(next(place for place in places if place.exists())))
        for name in ("NewStatus", "NewGraph", "NewSessionOptions", "LoadSessionFromSavedModel", "AllocateTensor"):
            getattr(self.library, f"TF_{name}").restype = ctypes.c_void_p
        for name in ("TensorData", "GraphOperationByName"):
            getattr(self.library, f"TF_{name}").restype = ctypes.c_void_p
        self.library.TF_Message.restype = ctypes.c_char_p
        self.library.TF_Dim.restype = ctypes.c_int64
        self.status = ctypes.c_void_p(self.library.TF_NewStatus())
        self.graph = ctypes.c_void_p(self.library.TF_NewGraph())
        found = Buffer()
        options = ctypes.c_void_p(self.library.TF_NewSessionOptions())
        tags = (ctypes.c_char_p * 1)(b"serve")
        self.session = ctypes.c_void_p(
            self.library.TF_LoadSessionFromSavedModel(
                options, None, str(folder).encode(), tags, 1, self.graph, ctypes.byref(found), self.status
            )
        )
        self.check()
        self.signatures = MetaGraphDef.FromString(ctypes.string_at(found.data, found.length)).signature_def

    def check(self):
        """Raises the error of the last call."""
        if self.library.TF_GetCode(self.status):
            raise RuntimeError(self.library.TF_Message(self.status).decode().splitlines()[0])

    def call(self, signature, output, **inputs):
        """Calls a signature with lists of byte strings; the output is float32 [N, columns]."""
        table = self.signatures[signature]
        names = (Output * len(inputs))(*(self.place(table.inputs[name].name) for name in inputs))
        tensors = (ctypes.c_void_p * len(inputs))(*(self.strings(values) for values in inputs.values()))
        wanted, answer = (Output * 1)(self.place(table.outputs[output].name)), (ctypes.c_void_p * 1)()
        count = ctypes.c_int(len(inputs))
        self.library.TF_SessionRun(
            self.session, None, names, tensors, count, wanted, answer, 1, None, 0, None, self.status
        )
        self.check()
        tensor = ctypes.c_void_p(answer[0])
        shape = [self.library.TF_Dim(tensor, axis) for axis in (0, 1)]
        content = ctypes.string_at(self.library.TF_TensorData(tensor), 4 * shape[0] * shape[1])
        return np.frombuffer(content, np.float32).reshape(shape)

    def place(self, name):
        """The TF_Output of a tensor's name, such as `embed_text:0`."""
        operation, _, index = name.partition(":")
        return Output(self.library.TF_GraphOperationByName(self.graph, operation.encode()), int(index))

    def strings(self, values):
        """A string tensor [N] of byte strings."""
        size = ctypes.c_size_t(STRING_SIZE * len(values))
        tensor = self.library.TF_AllocateTensor(7, (ctypes.c_int64 * 1)(len(values)), 1, size)
        start = self.library.TF_TensorData(ctypes.c_void_p(tensor))
        for position, value in enumerate(values):
            place = ctypes.c_void_p(start + STRING_SIZE * position)
            self.library.TF_StringInit(place)
            self.library.TF_StringCopy(place, value, ctypes.c_size_t(len(value)))
        return tensor


def main():
    """Runs the golden texts and prints the differences."""
    folder = Path(sys.argv[1])
    # Without importing tensorflow_text, whose Python code needs more packages than its operations do.
    text = Path(importlib.util.find_spec("tensorflow_text").origin).parent
    for library in sorted((text / "python" / "ops").glob("*.so")):
        tf.load_op_library(str(library))
    golden = json.loads((folder / "assets.extra" / "golden.json").read_text("utf-8"))
    inputs = {"text": [base64.b64decode(each) for each in golden["texts"]]}
    if golden["pairs"]:
        inputs["text_pair"] = [base64.b64decode(each) for each in golden["pairs"]]
    try:
        session = Session(folder)
        found = session.call("serving_default", "probabilities", **inputs)
        pooled = session.call("embed", "pooled_output", **inputs)
    except RuntimeError as error:
        sys.stdout.write(f"TensorFlow {tf.__version__}: refused: {error}\n")
        return 1
    differences = [np.abs(found - np.array(golden["probabilities"])), np.abs(pooled - np.array(golden["pooled"]))]
    sys.stdout.write(
        f"TensorFlow {tf.__version__}: {len(found)} golden texts, largest difference of a probability "
        f"{differences[0].max():.1e}, of a pooled value {differences[1].max():.1e}\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
