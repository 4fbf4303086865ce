"""Runs commands where only the base package is installed: the modules of all extras are hidden.

Reads a list of commands as JSON from standard input, each a list of arguments; writes for each its exit status, output
and error output.
"""

import contextlib
import io
import json
import sys
from collections.abc import Iterable


class Hidden:
    """Stands before the finders of modules, and finds none of some names."""

    def __init__(self, names: Iterable[str]):
        self.names = frozenset(names)
        self.finders = list(sys.meta_path)
        sys.meta_path[:] = [self]

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.names:
            return None
        found = (finder.find_spec(name, path, target) for finder in self.finders)
        return next((spec for spec in found if spec is not None), None)

    def find_distributions(self, *arguments, **options):
        found = (getattr(finder, "find_distributions", None) for finder in self.finders)
        return [each for find in found if find for each in find(*arguments, **options)]


def run(arguments: list[str]) -> tuple[object, str, str]:
    from bert_serving import console
    from bert_serving.cli import main

    out, err = io.StringIO(), io.StringIO()
    status: object = "returned"
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        console.console.file, console.error_console.file = out, err
        sys.argv = ["bert-serving", *arguments]
        try:
            main.main()
        except SystemExit as ended:
            status = ended.code or 0
        except BaseException as error:  # a traceback, for the user
            status = f"{type(error).__name__}: {error}"
    return status, out.getvalue(), err.getvalue()


if __name__ == "__main__":
    from bert_serving.extras import MODULES

    Hidden(name for modules in MODULES.values() for name in modules)
    results = [run(arguments) for arguments in json.load(sys.stdin)]
    json.dump({"results": results, "modules": sorted({name.partition(".")[0] for name in sys.modules})}, sys.stdout)
