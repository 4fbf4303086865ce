"""A command that begins anew: the same process and command line, nothing else of the old one."""

import os
import subprocess
import sys

import pytest
from support.paths import ROOT

SCRIPT = """
import os, sys, threading
from pathlib import Path
from bert_serving.cli.restart import restart

marker, where = Path(sys.argv[1]), sys.argv[2]
if marker.exists():
    print("again", os.getpid(), sys.argv[2:], threading.active_count())
    sys.exit(7)
marker.touch()
print("first", os.getpid(), sys.argv[2:], threading.active_count())
begin = lambda: restart("worker 1 [of 2] was lost")
if where == "main":
    begin()
thread = threading.Thread(target=begin)
thread.start()
threading.Event().wait(60)
"""


@pytest.mark.parametrize("where", ["main", "thread"])
def test_a_command_begins_anew_with_its_own_words(tmp_path, where):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "marker"), where, "--set", "a b"]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    first, again = ended.stdout.splitlines()
    assert again == first.replace("first", "again")
    assert ended.returncode == 7
    assert ended.stderr == "starting again: worker 1 [of 2] was lost\n"


def test_a_command_does_not_begin_anew_for_ever():
    script = "from bert_serving.cli.restart import restart; print('begun', flush=True); restart('nobody answers')"
    environment = os.environ | {"PYTHONPATH": str(ROOT), "BERT_SERVING_RESTARTS": "99"}
    ended = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=60)
    assert ended.stdout == "begun\nbegun\n"
    assert ended.returncode == 75
    assert ended.stderr.splitlines() == [
        "starting again: nobody answers",
        "error: nobody answers; started again 100 times",
    ]
