"""The script that records which TensorFlow first has an operation, on small registries and on the installed TensorFlow."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow as tf
from google.protobuf import text_format
from support.paths import ROOT
from tensorflow.core.framework.kernel_def_pb2 import KernelList
from tensorflow.core.framework.op_def_pb2 import OpList

OLD_OPERATIONS = """
op { name: "Add" attr { name: "T" type: "type" allowed_values { list { type: DT_FLOAT type: DT_HALF } } } }
op { name: "Pool" attr { name: "padding" type: "string" allowed_values { list { s: "SAME" } } } }
op { name: "Same" attr { name: "T" type: "type" allowed_values { list { type: DT_FLOAT } } } }
op { name: "Gone" }
"""
NEW_OPERATIONS = """
op { name: "Add" attr { name: "T" type: "type" allowed_values { list { type: DT_FLOAT type: DT_HALF type: DT_INT8 } } }
                 attr { name: "exact" type: "bool" } }
op { name: "Pool" attr { name: "padding" type: "string" allowed_values { list { s: "SAME" s: "EXPLICIT" } } } }
op { name: "Same" attr { name: "T" type: "type" allowed_values { list { type: DT_FLOAT } } } }
op { name: "Fresh" attr { name: "T" type: "type" } }
"""
KERNEL = """kernel {{ op: "Add" device_type: "{device}" label: "{label}"
             constraint {{ name: "T" allowed_values {{ list {{ type: {kind} }} }} }} }}"""


@pytest.fixture(scope="module")
def recorder():
    specification = importlib.util.spec_from_file_location("recorder", ROOT / "scripts" / "record_core_operations.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def registry(recorder, operations, *kernels):
    text = "\n".join(KERNEL.format(kind=kind, device=device, label=label) for kind, device, label in kernels)
    return recorder.registry_of(text_format.Parse(operations, OpList()), text_format.Parse(text, KernelList()))


def test_a_release_brings_operations_attributes_strings_and_types(recorder):
    old = registry(recorder, OLD_OPERATIONS, ("DT_FLOAT", "CPU", ""))
    new = registry(recorder, NEW_OPERATIONS, ("DT_FLOAT", "CPU", ""), ("DT_HALF", "CPU", ""), ("DT_INT8", "CPU", ""))
    assert recorder.new_tokens(old, {}) == ["Add", "Gone", "Pool", "Same"]
    assert recorder.new_tokens(new, old) == [
        "Add.T=DT_HALF",
        "Add.T=DT_INT8",
        "Add.exact",
        "Fresh",
        "Pool.padding=EXPLICIT",
    ]


@pytest.mark.parametrize(
    "kernel", [("DT_HALF", "GPU", ""), ("DT_HALF", "XLA_CPU_JIT", ""), ("DT_HALF", "CPU", "eigen")]
)
def test_a_type_without_a_plain_kernel_for_cpus_does_not_count(kernel, recorder):
    old = registry(recorder, OLD_OPERATIONS, ("DT_FLOAT", "CPU", ""))
    assert recorder.new_tokens(registry(recorder, OLD_OPERATIONS, ("DT_FLOAT", "CPU", ""), kernel), old) == []


def test_an_operation_without_any_kernel_takes_what_it_allows(recorder):
    assert registry(recorder, OLD_OPERATIONS)["Add"]["T"] == {"DT_FLOAT", "DT_HALF"}
    assert len(registry(recorder, NEW_OPERATIONS)["Fresh"]["T"]) > 20


def test_what_a_release_drops_is_forgotten(recorder):
    table = {"2.2": ["Add", "Gone", "Same"], "2.3": ["Add.T=DT_HALF", "Add.T=DT_INT8", "Gone.x"]}
    new = registry(recorder, NEW_OPERATIONS, ("DT_FLOAT", "CPU", ""), ("DT_INT8", "CPU", ""))
    assert recorder.drop_vanished(table, new) == {"2.2": ["Add", "Same"], "2.3": ["Add.T=DT_INT8"]}


def test_the_record_holds_the_operations_of_the_installed_tensorflow(recorder, tmp_path):
    base = Path(tf.__file__).parents[1]
    paths = [base / recorder.FRAMEWORK, base / recorder.CORE, tmp_path / "operations", tmp_path / "kernels"]
    subprocess.run([sys.executable, "-c", recorder.READER, *map(str, paths)], check=True, timeout=120)
    installed = recorder.registry_of(
        OpList.FromString(paths[2].read_bytes()), KernelList.FromString(paths[3].read_bytes())
    )
    table = json.loads(recorder.TABLE.read_text("utf-8"))
    assert list(table) == [recorder.version_of(release) for release in recorder.RELEASES]
    tokens = [token for known in table.values() for token in known]
    assert len(tokens) == len(set(tokens))
    recorded = {token for token in tokens if "." not in token}
    # The GPU package has two more operations; the record is of the CPU package.
    assert recorded == installed.keys() - {"_CopyFromGpuToHost", "_CopyFromHostToGpu"}
    assert recorder.drop_vanished(table, installed) == table
