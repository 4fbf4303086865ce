"""Publishes and dies on command: a program that is free of TensorFlow, so that a kill costs a fork.

Reads one JSON object a line: {"export", "to", "version", "steps" or "seconds" or neither}. A child publishes; after so many steps
(files opened, renamed, removed, ...) or seconds it is killed by SIGKILL. Writes one JSON object a line: {"status", "seconds"}.
"""

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

from bert_serving.errors import BertServingError
from bert_serving.observer import Observer
from bert_serving.publishing.publication import already_published, publication_target, publish
from bert_serving.publishing.storage.location import open_location

_STEPS = ("open", "os.", "shutil.", "fcntl.", "socket.")


def main() -> None:
    import s3fs  # noqa: F401 - imported once, not in each child

    for line in sys.stdin:
        job = json.loads(line)
        started = time.monotonic()
        child = os.fork()
        if child == 0:
            _publish_and_leave(job)
        if "seconds" in job:
            time.sleep(job["seconds"])
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        print(json.dumps({"status": status, "seconds": time.monotonic() - started}), flush=True)


def _publish_and_leave(job: dict) -> None:
    try:
        if "steps" in job:
            _die_after(job["steps"])
        export = Path(job["export"])
        destination = publication_target(export, open_location(job["to"]), version=job["version"])
        if not already_published(export, destination):
            publish(export, destination, {"gate": None}, observer=Observer())
        status = 0
    except BertServingError as error:
        print(error, file=sys.stderr)
        status = 2
    os._exit(status)


def _die_after(steps: int) -> None:
    left = steps
    lock = threading.Lock()

    def count(event: str, _: object) -> None:
        nonlocal left
        if event.startswith(_STEPS):
            with lock:
                left -= 1
            # Exactly once: the kill is an event itself.
            if left == -1:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)


if __name__ == "__main__":
    main()
