"""Records the first TensorFlow release of every core operation, attribute and data type.

python scripts/record_core_operations.py             # appends the releases that the file lacks
python scripts/record_core_operations.py --anew      # all releases: downloads 4 GB, ten minutes

Writes core_operations.json. For the next TensorFlow: append its first release to RELEASES and run
it.

The wheel of each release (tensorflow-cpu, from pip's index) is unpacked, never installed; its
libraries are loaded, and two functions of TensorFlow's C API list what is compiled in:
`TF_GetAllOpList` all registered operations with their attributes and allowed types (more than
`tf.raw_ops`, which hides some), `TF_GetAllRegisteredKernels` the types with an implementation. A
type counts from the release in which the operation allows it and a kernel for CPUs takes it,
considering each attribute alone. The libraries of wheels before 2.12 need python3.8 in the PATH.

A token is `Operation`, `Operation.attribute` or `Operation.attribute=VALUE`, listed under the first
release that has it. Of the first release only the names of operations are listed; attributes and
values that came with their operation are not listed either. What a later release drops is removed.
"""

import json
import subprocess
import sys
import tempfile
import zipfile
from collections import defaultdict
from pathlib import Path

from tensorflow.core.framework import types_pb2
from tensorflow.core.framework.kernel_def_pb2 import KernelList
from tensorflow.core.framework.op_def_pb2 import OpDef, OpList

TABLE = Path(__file__).parents[1] / "bert_serving" / "saved_model" / "operations" / "core_operations.json"
# The first release of each version; patch releases have the same operations. 2.16.0 was never published.
RELEASES = [f"2.{minor}.{1 if minor == 16 else 0}" for minor in range(2, 21)]
PLATFORMS = ("manylinux2010_x86_64", "manylinux2014_x86_64", "manylinux_2_17_x86_64", "manylinux_2_27_x86_64")
FRAMEWORK = "tensorflow/libtensorflow_framework.so.2"
# Since 2.12 the core is a library of its own; before, it is inside Python's extension module.
CORE = "tensorflow/libtensorflow_cc.so.2"
EXTENSION = "tensorflow/python/_pywrap_tensorflow_internal.so"

# Runs with any Python and without protobuf, in the interpreter that a wheel's libraries need.
READER = """
import ctypes, sys

class Buffer(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("length", ctypes.c_size_t), ("deallocator", ctypes.c_void_p)]

framework, core, operations, kernels = sys.argv[1:]
ctypes.CDLL(framework, mode=ctypes.RTLD_GLOBAL)
library = ctypes.CDLL(core, mode=ctypes.RTLD_GLOBAL)
library.TF_NewStatus.restype = ctypes.c_void_p
library.TF_GetAllOpList.restype = library.TF_GetAllRegisteredKernels.restype = ctypes.POINTER(Buffer)
lists = (library.TF_GetAllOpList(), library.TF_GetAllRegisteredKernels(ctypes.c_void_p(library.TF_NewStatus())))
for path, found in zip((operations, kernels), lists):
    with open(path, "wb") as file:
        file.write(ctypes.string_at(found.contents.data, found.contents.length))
"""

# Operations to their attributes, and those to their allowed types and strings; an empty set means unrestricted.
Registry = dict[str, dict[str, set[str]]]


def main() -> None:
    """Reads the missing releases and writes the table."""
    table = {} if "--anew" in sys.argv[1:] or not TABLE.is_file() else json.loads(TABLE.read_text("utf-8"))
    before: Registry = {}
    for position, release in enumerate(RELEASES):
        version = version_of(release)
        following = version_of(RELEASES[position + 1]) if position + 1 < len(RELEASES) else None
        if version in table and (following is None or following in table):
            continue  # recorded already, and not needed for the comparison
        sys.stderr.write(f"reading TensorFlow {release}\n")
        registry = read_release(release)
        if version not in table:
            table = drop_vanished(table, registry) | {version: new_tokens(registry, before)}
            TABLE.write_text(json.dumps(table, indent=0) + "\n", "utf-8")
        before = registry
    sys.stderr.write(f"{TABLE}: {', '.join(f'{version} {len(tokens)}' for version, tokens in table.items())}\n")


def version_of(release: str) -> str:
    """The version of a release: 2.12 of 2.12.0."""
    return release.rpartition(".")[0]


def read_release(release: str) -> Registry:
    """Downloads and unpacks a release temporarily and reads its registry."""
    old = int(release.split(".")[1]) < 12
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        python = "3.8" if old else ".".join(map(str, sys.version_info[:2]))
        platforms = [part for platform in PLATFORMS for part in ("--platform", platform)]
        command = ["-m", "pip", "download", "--quiet", f"tensorflow-cpu=={release}", "--no-deps", "--only-binary=:all:"]
        wanted = ["--python-version", python, *platforms, "--dest", temporary]
        subprocess.run([sys.executable, *command, *wanted], check=True)
        core = EXTENSION if old else CORE
        with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
            for name in (FRAMEWORK, core):
                wheel.extract(name, folder)
        operations, kernels = folder / "operations", folder / "kernels"
        interpreter = "python3.8" if old else sys.executable
        subprocess.run(
            [interpreter, "-c", READER, *map(str, (folder / FRAMEWORK, folder / core, operations, kernels))], check=True
        )
        return registry_of(OpList.FromString(operations.read_bytes()), KernelList.FromString(kernels.read_bytes()))


def registry_of(operations: OpList, kernels: KernelList) -> Registry:
    """The registered operations, and the types with an implementation."""
    coded = defaultdict(list)
    for kernel in kernels.kernel:
        if kernel.device_type in ("CPU", "DEFAULT") and not kernel.label:
            coded[kernel.op].append(
                {each.name: type_names(each.allowed_values.list.type) for each in kernel.constraint}
            )
    return {
        operation.name: {attribute.name: values(attribute, coded[operation.name]) for attribute in operation.attr}
        for operation in operations.op
    }


def values(attribute: OpDef.AttrDef, kernels: list[dict[str, set[str]]]) -> set[str]:
    """Values that an attribute takes: types that the operation allows and a kernel takes, or strings."""
    allowed = attribute.allowed_values.list
    if attribute.type not in ("type", "list(type)"):
        return {value.decode() for value in allowed.s}
    types = type_names(allowed.type) or ALL_TYPES
    if kernels and all(attribute.name in kernel for kernel in kernels):
        return types & set().union(*(kernel[attribute.name] for kernel in kernels))
    return types


def type_names(numbers: list[int]) -> set[str]:
    """Names such as DT_FLOAT of data type numbers."""
    return {types_pb2.DataType.Name(number) for number in numbers}


ALL_TYPES = {
    name for name in type_names(types_pb2.DataType.values()) if not name.endswith("_REF") and name != "DT_INVALID"
}


def new_tokens(registry: Registry, before: Registry) -> list[str]:
    """The tokens that are new in a release; values of an attribute only if both releases restrict them."""
    tokens = set(registry.keys() - before.keys())
    for operation in registry.keys() & before.keys():
        now, then = registry[operation], before[operation]
        tokens |= {f"{operation}.{name}" for name in now.keys() - then.keys()}
        tokens |= {
            f"{operation}.{name}={value}"
            for name in now.keys() & then.keys()
            if then[name]
            for value in now[name] - then[name]
        }
    return sorted(tokens)


def drop_vanished(table: dict[str, list[str]], registry: Registry) -> dict[str, list[str]]:
    """The table without the tokens that a release no longer has."""
    tokens = set(registry)
    for operation, attributes in registry.items():
        for name, allowed in attributes.items():
            tokens |= {f"{operation}.{name}", *(f"{operation}.{name}={value}" for value in allowed)}
    return {version: [token for token in known if token in tokens] for version, known in table.items()}


if __name__ == "__main__":
    main()
