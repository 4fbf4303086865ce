"""The names of the package: which there are, that importing them is light, that they are documented and typed."""

import inspect
import json
import os
import re
import subprocess
import sys

import pytest
from support.paths import ROOT

import bert_serving as bs

NAMES = """
AsyncClient BertServingError Client Export Observer Prediction Publication Run RunConfig ServedModel Server TextClassifier
Tuning __version__ build_classifier create_optimizer export label load prune publish rollback score serve train tune versions
""".split()
CALLABLE = [name for name in NAMES if name != "__version__"]


def test_the_exported_names_are_these_in_order():
    assert bs.__all__ == NAMES == sorted(NAMES)
    assert set(NAMES) <= set(dir(bs))


def test_an_unknown_name_is_no_attribute():
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = bs.nothing


def test_all_names_come_without_tensorflow():
    code = (
        "import sys, json, bert_serving\n"
        "light = sorted(sys.modules)\n"
        f"for name in {NAMES}: getattr(bert_serving, name)\n"
        "print(json.dumps([light, sorted(sys.modules)]))"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    light, whole = json.loads(result.stdout)
    assert not {"tensorflow", "numpy", "pydantic", "grpc", "httpx"} & set(light)
    assert not {"tensorflow", "tf_keras", "keras", "matplotlib"} & set(whole)


@pytest.mark.parametrize("name", CALLABLE)
def test_a_public_name_says_what_it_is_and_shows_it(name):
    documentation = inspect.getdoc(getattr(bs, name))
    assert documentation
    assert re.match(r"[A-Z].*[.:]$", documentation.splitlines()[0])
    # tests/docs/test_examples.py runs it.
    assert "```python" in documentation


@pytest.mark.parametrize("name", CALLABLE)
def test_every_argument_of_a_public_function_is_typed_and_described(name):
    thing = getattr(bs, name)
    if not inspect.isfunction(thing) or name == "rollback":
        return
    signature, documentation = inspect.signature(thing), inspect.getdoc(thing)
    assert signature.return_annotation is not inspect.Signature.empty
    for argument in signature.parameters.values():
        assert argument.annotation is not inspect.Parameter.empty
        assert re.search(rf"\b{argument.name}\b.*: ", documentation), argument.name


PROGRAM = ROOT / "tests" / "api" / "program.py"


@pytest.mark.slow
def test_a_program_that_uses_the_names_passes_mypy_strict(tmp_path):
    program = tmp_path / "program.py"
    command = [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", str(program)]
    environment = os.environ | {"MYPYPATH": str(ROOT)}
    for old, new, status, said in (
        ("", "", 0, "Success"),
        ("client.predict(", "client.guess(", 1, 'no attribute "guess"'),
    ):
        program.write_text(PROGRAM.read_text("utf-8").replace(old, new), "utf-8")
        result = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT, check=False)
        assert (result.returncode, said in result.stdout) == (status, True), result.stdout
