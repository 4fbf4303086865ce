"""A file of texts through a server: in order, of any size, continued after whatever went wrong on either side."""

import asyncio
import contextlib
import random
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from functools import partial

import pandas as pd
import pytest
from support import serving_models
from support.paths import ROOT

from bert_serving.cli.main import app
from bert_serving.clients.grpc_client import AsyncGrpcClient
from bert_serving.clients.rest_client import AsyncRestClient
from bert_serving.data.raw_table import read_raw_table
from bert_serving.data.unlabeled import TextColumns, TextSource
from bert_serving.errors import DataError, InputError, InvalidRequest, ServableNotFound, ServerUnavailable
from bert_serving.model import prediction_file
from bert_serving.model.prediction_file import PredictionFile, is_resumable
from bert_serving.model_server.config.limits import Limits
from bert_serving.model_server.config.options import ModelConfig, ServerOptions
from bert_serving.model_server.process import ModelServerProcess
from bert_serving.model_server.server import ServerThread

EMBEDDED = (sys.executable, "-m", "bert_serving.model_server")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    base = tmp_path_factory.mktemp("models") / "texts"
    serving_models.write_texts(base / "1")
    return base


@pytest.fixture(scope="module")
def server(base):
    options = ServerOptions(models=[ModelConfig("texts", base)], limits=Limits(text_bytes=1000))
    with ServerThread(options) as running:
        yield running


def make_client(server, kind="grpc", **options):
    if kind == "rest":
        return AsyncRestClient(server.rest_url, **options)
    return AsyncGrpcClient(server.grpc_address, **options)


def send(file, server, *, kind="grpc", model="texts", progress=lambda rows, size: None, **options):
    async def work():
        async with make_client(server, kind, **options) as client:
            await file.predict(client, model, progress=progress)

    asyncio.run(work())


def write_lines(path, count, *, seed=0):
    some = random.Random(seed)
    lines = [f"{number} " + "x" * some.randrange(30) for number in range(count)]
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return lines


def check_answers(path, lines):
    header, *rows = path.read_text("utf-8").split("\n")[:-1]
    assert header == "text\tlabel\tclass 0\tclass 1"
    cells = [row.split("\t") for row in rows]
    assert [row[0] for row in cells] == lines
    for text, label, long, short in cells:
        assert label == ("länger" if len(text) >= 7 else "kurz")
        assert float(long) + float(short) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("kind", ["grpc", "rest"])
def test_every_line_gets_its_answer_in_order(server, tmp_path, kind):
    lines = write_lines(tmp_path / "in.txt", 1500)
    calls = []
    file = PredictionFile(TextSource(tmp_path / "in.txt"), tmp_path / "out.tsv", server=kind)
    send(file, server, kind=kind, progress=lambda rows, size: calls.append((rows, size)))
    check_answers(tmp_path / "out.tsv", lines)
    assert calls == sorted(calls)
    assert calls[-1] == (1500, (tmp_path / "in.txt").stat().st_size)
    assert not file.part.exists()


@pytest.mark.parametrize(
    ("content", "texts"),
    [
        (b"a\nb", ["a", "b"]),
        (b"a\r\nb\r\n", ["a", "b"]),
        (b"a\n\nb\n", ["a", "", "b"]),
        ("\u2028a\tb\n".encode(), ["\u2028a b"]),
        (b"\n", [""]),
    ],
)
def test_a_line_is_a_text_whatever_is_in_it(server, tmp_path, content, texts):
    (tmp_path / "in.txt").write_bytes(content)
    send(PredictionFile(TextSource(tmp_path / "in.txt"), tmp_path / "out.tsv", server="a"), server)
    check_answers(tmp_path / "out.tsv", texts)


@pytest.mark.parametrize(
    ("content", "error", "text"),
    [
        (b"", InputError, "in.txt: nothing to classify"),
        (b"good\n" * 200 + b"\xff\n", DataError, "in.txt: line 201: not UTF-8 at byte 0"),
        (
            b"good\n" * 200 + b"x" * 1001 + b"\n",
            InvalidRequest,
            "in.txt: line 201: Input text has a text of 1001 bytes",
        ),
    ],
)
def test_what_cannot_be_asked_is_named_by_its_line_and_the_rest_is_kept(server, tmp_path, content, error, text):
    path = tmp_path / "in.txt"
    path.write_bytes(content)
    file = PredictionFile(TextSource(path), tmp_path / "out.tsv", server="a")
    with pytest.raises(error, match=text):
        send(file, server)
    assert not (tmp_path / "out.tsv").exists()
    assert file.part.exists() == (file.rows > 0)
    if content:
        path.write_bytes(content[: 5 * 200] + b"mended\n")
        again = PredictionFile(TextSource(path), tmp_path / "out.tsv", server="a")
        first = []
        send(again, server, progress=lambda rows, size: first.append(rows))
        assert first[0] == file.rows > 0
        check_answers(tmp_path / "out.tsv", ["good"] * 200 + ["mended"])


@pytest.mark.parametrize("kind", ["grpc", "rest"])
def test_lines_too_large_together_are_sent_apart_and_a_long_one_is_named(base, tmp_path, kind):
    options = ServerOptions(models=[ModelConfig("texts", base)], limits=Limits(request_bytes=2000))
    path = tmp_path / "in.txt"
    lines = [f"{number} " + "x" * 200 for number in range(20)]
    path.write_text("\n".join([*lines, "y" * 2001]) + "\n", "utf-8")
    with ServerThread(options) as limited:
        file = PredictionFile(TextSource(path), tmp_path / "out.tsv", server=kind)
        with pytest.raises(InvalidRequest, match=r"in\.txt: line 21: .*(larger than max|larger than 2000 bytes)"):
            send(file, limited, kind=kind)
        path.write_text("\n".join(lines) + "\n", "utf-8")
        send(PredictionFile(TextSource(path), tmp_path / "out.tsv", server=kind), limited, kind=kind)
    check_answers(tmp_path / "out.tsv", lines)


@pytest.mark.parametrize("damage", [b"", b"half a li", b"1499 x\tkurz\t0.1", b"\xff\n"])
def test_a_second_call_continues_where_the_first_one_ended(server, tmp_path, damage):
    lines = write_lines(tmp_path / "in.txt", 1000)
    file = PredictionFile(TextSource(tmp_path / "in.txt"), tmp_path / "out.tsv", server="a")

    def stop(rows, size):
        if rows > 300:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        send(file, server, progress=stop)
    assert 300 < file.rows < 1000
    again = PredictionFile(TextSource(tmp_path / "in.txt"), tmp_path / "out.tsv", server="a")
    with file.part.open("ab") as part:
        part.write(damage)
    if damage.endswith(b"\n"):
        with pytest.raises(
            DataError, match=rf"line {file.rows + 1} is not the one that was answered in .*; remove that"
        ):
            send(again, server)
        return
    first = []
    send(again, server, progress=lambda rows, size: first.append(rows))
    assert first[0] == file.rows
    check_answers(tmp_path / "out.tsv", lines)


ODD = ['"quoted" text', "tab\there", "two\nlines\r\n", "half", "", "a, b", "\u2028", '"'] * 40


@pytest.mark.parametrize("kind", [".csv", ".jsonl", ".parquet"])
@pytest.mark.parametrize("out", ["out.tsv", "out.csv", "out.jsonl"])
def test_tables_are_classified_row_by_row_and_continued(server, tmp_path, kind, out):
    source = tmp_path / f"in{kind}"
    frame = pd.DataFrame({"id": range(len(ODD)), "review": ODD})
    write = {
        ".csv": frame.to_csv,
        ".jsonl": partial(frame.to_json, orient="records", lines=True),
        ".parquet": frame.to_parquet,
    }
    write[kind](source)
    whole = tmp_path / f"whole-{out}"
    send(PredictionFile(TextSource(source, TextColumns("review")), whole, server="a"), server)
    assert list(read_raw_table(whole).column("text")) == (
        [re.sub("\r\n|[\t\n]", " ", text) for text in ODD] if out == "out.tsv" else ODD
    )
    content = whole.read_bytes()
    for length in (0, 5, len(content) // 3, len(content) // 2, len(content) - 1, len(content)):
        file = PredictionFile(TextSource(source, TextColumns("review")), tmp_path / out, server="a")
        file.part.write_bytes(content[:length])
        first = []
        send(file, server, progress=lambda rows, size, first=first: first.append(rows))
        assert (tmp_path / out).read_bytes() == content
        assert (first[0] > 0) == (length > 5)
        assert (file.empty, file.cleaned) == (80, 80 if out == "out.tsv" else 0)


def test_another_model_or_another_input_starts_from_the_beginning(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).touch()
    (tmp_path / "c.csv").write_text("x,y\n1,2\n")
    sources = [TextSource(tmp_path / "a"), TextSource(tmp_path / "b")]
    sources += [TextSource(tmp_path / "c.csv", TextColumns(column)) for column in ("x", "y")]
    names = {
        PredictionFile(source, tmp_path / "out.tsv", server=server).part for source in sources for server in ("x", "y")
    }
    assert len(names) == 8


def test_an_input_that_has_changed_is_refused(server, tmp_path):
    write_lines(tmp_path / "in.txt", 100)
    file = PredictionFile(TextSource(tmp_path / "in.txt"), tmp_path / "out.tsv", server="a")
    file.part.write_text("text\tlabel\n0 other\tkurz\n")
    with pytest.raises(DataError, match="line 1 is not the one that was answered"):
        send(file, server)
    assert file.part.exists()


def test_only_regular_files_can_be_resumed(tmp_path):
    source = tmp_path / "in.txt"
    assert not is_resumable(source, tmp_path / "out.tsv")
    source.write_text("a\n")
    assert is_resumable(source, tmp_path / "out.tsv")
    assert not is_resumable(source, tmp_path)


def test_two_calls_do_not_write_the_same_file(server, tmp_path):
    write_lines(tmp_path / "in.txt", 100)
    file = PredictionFile(TextSource(tmp_path / "in.txt"), tmp_path / "out.tsv", server="a")
    with prediction_file._locked(file.part), pytest.raises(DataError, match="is being written by another call"):
        send(file, server)
    assert file.part.exists()


def test_a_refusal_of_the_model_is_an_error_and_leaves_nothing(server, tmp_path):
    write_lines(tmp_path / "in.txt", 10)
    file = PredictionFile(TextSource(tmp_path / "in.txt"), tmp_path / "out.tsv", server="a")
    with pytest.raises(ServableNotFound):
        send(file, server, model="no")
    assert list(tmp_path.iterdir()) == [tmp_path / "in.txt"]


def test_a_full_disk_is_an_error_of_one_line_and_a_second_call_continues(server, tmp_path):
    lines = write_lines(tmp_path / "in.txt", 1000)
    file = PredictionFile(TextSource(tmp_path / "in.txt"), tmp_path / "out.tsv", server="a")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(
            DataError, match=r"out\.tsv: File too large; \d+ rows are kept, and the same call continues"
        ):
            send(file, server)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert 0 < file.rows < 1000
    send(PredictionFile(TextSource(tmp_path / "in.txt"), tmp_path / "out.tsv", server="a"), server)
    check_answers(tmp_path / "out.tsv", lines)


@pytest.mark.parametrize("kind", ["grpc", "rest"])
def test_a_server_that_goes_and_comes_back_costs_nothing(base, tmp_path, kind):
    lines = write_lines(tmp_path / "in.txt", 3000)
    port = {"grpc": "port", "rest": "rest_api_port"}[kind]
    with socket.create_server(("127.0.0.1", 0)) as free:
        number = free.getsockname()[1]
    options = ServerOptions(models=[ModelConfig("texts", base)], grace_seconds=0.1, **{port: number})
    reached = threading.Event()
    file = PredictionFile(TextSource(tmp_path / "in.txt"), tmp_path / "out.tsv", server="a")

    async def work():
        make = AsyncRestClient(f"http://127.0.0.1:{number}", retry_timeout=60) if kind == "rest" else None
        async with make or AsyncGrpcClient(f"127.0.0.1:{number}", retry_timeout=60) as client:
            await file.predict(client, "texts", progress=lambda rows, size: rows > 500 and reached.set())

    working = threading.Thread(target=lambda: asyncio.run(work()))
    with ServerThread(options):
        working.start()
        assert reached.wait(30)
    with ServerThread(options):
        working.join(60)
    check_answers(tmp_path / "out.tsv", lines)


def test_retries_of_a_server_that_has_gone_are_bounded(tmp_path):
    write_lines(tmp_path / "in.txt", 10)
    file = PredictionFile(TextSource(tmp_path / "in.txt"), tmp_path / "out.tsv", server="a")

    async def work():
        async with AsyncGrpcClient("127.0.0.1:1", retry_timeout=0.3) as client:
            await file.predict(client, "texts")

    with pytest.raises(ServerUnavailable):
        asyncio.run(work())


def test_the_command_streams_a_file_to_a_server(server, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    lines = write_lines(tmp_path / "in.txt", 300)
    for address in (f"grpc://{server.grpc_address}/texts", f"{server.rest_url}/texts"):
        app(["predict", address, "--input", "in.txt", "--output", "out.tsv"], standalone_mode=False)
        assert "predictions: out.tsv (300 rows)" in capsys.readouterr().out
        check_answers(tmp_path / "out.tsv", lines)


@pytest.mark.slow
def test_nothing_is_lost_when_server_and_client_are_killed_in_the_middle(base, tmp_path):
    lines = write_lines(tmp_path / "in.txt", 40_000)
    process = ModelServerProcess(base, "texts", program=EMBEDDED)
    command = [sys.executable, "-m", "bert_serving.cli.main", "predict", f"grpc://{process.grpc_address}/texts"]
    command += ["--input", tmp_path / "in.txt", "--output", tmp_path / "out.tsv"]
    process.start()
    first = subprocess.Popen(command, cwd=ROOT)
    wait_for_rows(tmp_path, 5_000)
    first.send_signal(signal.SIGKILL)
    first.wait(10)
    second = subprocess.Popen(command, cwd=ROOT)
    wait_for_rows(tmp_path, 15_000)
    process._process.kill()
    process._process.wait(10)
    assert second.poll() is None
    process.launch()
    try:
        assert second.wait(200) == 0
    finally:
        process.stop()
        with contextlib.suppress(ProcessLookupError):
            second.kill()
    check_answers(tmp_path / "out.tsv", lines)


def wait_for_rows(folder, number):
    deadline = time.monotonic() + 120
    while sum(path.read_bytes().count(b"\n") for path in folder.glob("*.part")) < number:
        assert time.monotonic() < deadline
        time.sleep(0.05)
