"""The workflows of GitHub call scripts that are there, on the versions that the package names; they run only there."""

import configparser
import os
import re
import shutil
import subprocess

import pytest
import yaml
from support.paths import ROOT

WORKFLOWS = {path.stem: path for path in sorted((ROOT / ".github" / "workflows").glob("*.yml"))}


def jobs(name):
    return yaml.safe_load(WORKFLOWS[name].read_text("utf-8"))["jobs"]


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_calls_scripts_that_are_there_and_lets_them_end(name):
    found = []
    for job in jobs(name).values():
        assert job["timeout-minutes"] <= 60
        for step in job["steps"]:
            assert ("run" in step) != ("uses" in step)
            found += re.findall(r"(?:^|\s)(scripts/\w+)", step.get("run", ""))
    assert found
    assert [script for script in found if not os.access(ROOT / script, os.X_OK)] == []
    assert "permissions:" in WORKFLOWS[name].read_text("utf-8")


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_has_the_form_that_github_asks_for(name):
    pytest.importorskip("check_jsonschema")
    command = [shutil.which("check-jsonschema", path=f"{os.path.dirname(os.sys.executable)}:{os.environ['PATH']}")]
    command += ["--builtin-schema", "vendor.github-workflows", str(WORKFLOWS[name])]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stdout


def test_the_tests_run_on_each_python_that_the_package_names():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    named = re.findall(r"Python :: (3\.\d+)", config["metadata"]["classifiers"])
    assert jobs("check")["test"]["strategy"]["matrix"]["python"] == named


SCRIPTS = {
    ("test", "--python"): "error: --python needs a release",
    ("test", "--python", "3"): "error: 3 is not a release; give two numbers",
    ("test", "--tensorflow=2.21", "--python", "3.99"): "error: Python 3.99 is not installed",
    ("conformance",): "error: give the tag of an image of tensorflow/serving",
    ("conformance", "latest"): "got 'latest'",
    ("release", "v9.9.9"): "asked for '9.9.9'; give v",
}


@pytest.mark.parametrize(("words", "message"), SCRIPTS.items(), ids=map(" ".join, SCRIPTS))
def test_a_script_says_in_one_line_what_it_lacks(words, message):
    script, *arguments = words
    command = ["bash", str(ROOT / "scripts" / script), *arguments]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert message in line
