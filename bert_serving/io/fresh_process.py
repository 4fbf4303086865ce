"""Runs a module of this package in a fresh Python process, which shares nothing with this one but files."""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

from bert_serving.errors import VerificationError

T = TypeVar("T")


def run_in_fresh_process(
    module: str, arguments: Sequence[str], *, parse: Callable[[str], T], subject: str, task: str, gpu: bool = True
) -> T:
    """Runs `python -m MODULE ARGUMENTS...` and returns what its last line of output holds.

    Args:
        module: name of the module.
        arguments: of the command.
        parse: reads the last line, which is JSON.
        subject: what an error names first, such as a folder.
        task: what the process does, such as "verifying".
        gpu: whether the process may see the GPUs.

    Raises:
        VerificationError: the process ended without a result.
    """
    environment = os.environ | {
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TF_USE_LEGACY_KERAS": "1",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    if not gpu:
        environment["CUDA_VISIBLE_DEVICES"] = "-1"
    command = [sys.executable, "-m", module, *arguments]
    result = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    try:
        return parse(result.stdout.strip().splitlines()[-1])
    except (IndexError, ValueError):
        reason = (result.stderr.strip().splitlines() or ["no output"])[-1]
        problem = f"the {task} process ended with status {result.returncode}: {reason}"
        raise VerificationError(subject, [problem]) from None
