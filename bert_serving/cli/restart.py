"""Begins the running command anew."""

import os
import sys
from typing import NoReturn

from rich.markup import escape

from bert_serving.console import error_console


def restart(reason: str) -> NoReturn:
    """Replaces this process by a new one with the same command line, and says why; works from any thread.

    TensorFlow's cluster cannot be left in any other way: nothing of the old one is left in the new process, not even its ports.
    """
    error_console.print("[bold yellow]starting again:[/]", escape(reason), soft_wrap=True)
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
