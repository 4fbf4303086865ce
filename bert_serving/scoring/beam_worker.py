"""Entry point of a worker process of the DirectRunner: Beam's own, without its log on the terminal.

python -m bert_serving.scoring.beam_worker
"""

import logging
import os
import sys
import threading
import time
from pathlib import Path

_CHECK_SECONDS = 0.5


def main() -> None:
    """Runs Beam's worker until its job ends."""
    # With a handler there, nothing adds one that writes to the terminal; Beam's handler sends the log to the job.
    logging.getLogger().addHandler(logging.NullHandler())
    # When the job's process is gone, Beam's threads would tell of it at length. What native code says of a crash is still told.
    sys.stdout = sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115  for as long as the process lives
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    from apache_beam.runners.worker import sdk_worker_main  # noqa: PLC0415  after the handler

    sdk_worker_main.main(sys.argv)


def _end_with(parent: int) -> None:
    """Ends this process when the job's process was killed: a restarted job needs the processors."""
    while os.getppid() == parent:
        time.sleep(_CHECK_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    main()
