"""Begins the running command anew."""

import os
import sys
from typing import NoReturn

from rich.markup import escape

from bert_serving.console import error_console
from bert_serving.errors import WorkerError

# A cluster that never connects, for one, must not try for ever.
_LIMIT = 100
_COUNT = "BERT_SERVING_RESTARTS"


def restart(reason: str) -> NoReturn:
    """Replaces this process by a new one with the same command line, and says why; works from any thread.

    TensorFlow's cluster cannot be left in any other way: nothing of the old one is left in the new process, not even its ports.
    After a hundred times the process ends with the status of `WorkerError`.
    """
    count = int(os.environ.get(_COUNT, "0")) + 1
    if count > _LIMIT:
        error_console.print("[bold red]error:[/]", escape(f"{reason}; started again {_LIMIT} times"), soft_wrap=True)
        os._exit(WorkerError.exit_status)
    error_console.print("[bold yellow]starting again:[/]", escape(reason), soft_wrap=True)
    sys.stdout.flush()
    sys.stderr.flush()
    os.environ[_COUNT] = str(count)
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
