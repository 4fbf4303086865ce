"""Runs the command in this process. Import the fixture `bert_serving` where it is used."""

import sys
from collections.abc import Callable
from typing import NamedTuple

import pytest


class Ended(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str


@pytest.fixture
def bert_serving(tmp_path, monkeypatch, capsys) -> Callable[..., Ended]:
    """Runs the command in an empty folder, the test's own."""
    from bert_serving.cli.main import main

    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["bert-serving", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        return Ended(ended.value.code, *capsys.readouterr())

    return run
