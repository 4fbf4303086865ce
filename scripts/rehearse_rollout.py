r"""Rehearses a rollout on this machine: publish, canary, promote and roll back under constant load.

    python scripts/rehearse_rollout.py --export models/bike_shop/1 --candidate models/bike_shop/2 \
        --rate 200 --picture rehearsal.png

Three servers run behind nginx: the stock tensorflow_model_server if it is installed, else embedded
servers. nginx splits the requests between the labels stable and canary. Prints the timeline and the
latency of each phase, plots both, and exits with status 1 if any request failed.
"""

import argparse
import contextlib
import itertools
import json
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SERVERS = 3
CANARY_PERCENT = 10

_NGINX = """
worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx.log warn;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
    uwsgi_temp_path {folder}; scgi_temp_path {folder};
    split_clients $request_id $label {{ {percent}% canary; * stable; }}
    upstream servers {{ {servers} keepalive 64; }}
    server {{
        listen 127.0.0.1:{port};
        location = /predict {{
            proxy_pass http://servers/v1/models/{model}/labels/$label:predict;
            proxy_http_version 1.1; proxy_set_header Connection "";
            # Predict requests are idempotent: retry them on another server if one is down.
            proxy_next_upstream error timeout http_503 non_idempotent;
            add_header X-Label $label always;
        }}
    }}
}}
"""
_CONFIG = """model_config_list {{ config {{
  name: "{model}" base_path: "{base}" model_platform: "tensorflow"
  model_version_policy {{ specific {{ versions: 1 }} }} version_labels {{ key: "stable" value: 1 }}
}} }}
"""


@dataclass
class Timeline:
    """Events with their time in seconds from the start of the load."""

    started: float = field(default_factory=time.monotonic)
    events: list[tuple[float, str]] = field(default_factory=list)

    def note(self, what: str) -> None:
        """Records and prints an event."""
        self.events.append((time.monotonic() - self.started, what))
        print(f"  {self.events[-1][0]:6.1f} s  {what}", flush=True)


# === Load, in its own process ===


def load(port: int, rate: float, text: str) -> None:
    """Sends requests at a steady rate until a line arrives on standard input.

    Prints one JSON list of [second of sending, latency in ms, status, label].
    """
    import asyncio

    body = json.dumps({"instances": [text]}).encode()
    request = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    stop = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.readline(), stop.set()), daemon=True).start()
    found: list[tuple[float, float, int, str]] = []

    async def ask(reader: Any, writer: Any) -> tuple[int, str]:
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
        names = {name.lower(): value for name, value in fields.items()}
        await reader.readexactly(int(names["content-length"]))
        return int(head.split(" ")[1]), names.get("x-label", "")

    async def client(number: int, clients: int, started: float) -> None:
        connection = None
        due = started + number / rate
        while not stop.is_set():
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            sent = time.monotonic()
            # A server may close an idle connection. As in connection pools, a request on a connection that was
            # closed before the first byte of a response is sent once more on a new one.
            if connection is not None and connection[0].at_eof():
                connection = None
            reused = connection is not None
            while True:
                try:
                    connection = connection or await asyncio.open_connection("127.0.0.1", port)
                    status, label = await asyncio.wait_for(ask(*connection), 30)
                except (OSError, asyncio.IncompleteReadError) as error:
                    connection, status, label = None, 0, ""
                    if reused and not (isinstance(error, asyncio.IncompleteReadError) and error.partial):
                        reused = False
                        continue
                break
            found.append((sent - started, 1000 * (time.monotonic() - sent), status, label))
            # A late client catches up, so that the rate is kept.
            due += clients / rate

    async def run() -> None:
        clients = max(8, int(rate / 4))
        started = time.monotonic()
        await asyncio.gather(*(client(number, clients, started) for number in range(clients)))

    asyncio.run(run())
    print(json.dumps(found))


# === The parts ===


@contextlib.contextmanager
def running_nginx(folder: Path, model: str, ports: list[int]) -> Iterator[Any]:
    """Runs nginx in front of the servers; yields its port and a function that sets the canary's share."""
    from bert_serving.model_server.process import free_ports

    (port,) = free_ports(1)
    servers = " ".join(f"server 127.0.0.1:{each} max_fails=0;" for each in ports)
    path = folder / "nginx.conf"

    def write(percent: float) -> None:
        share = max(percent, 0.001)  # nginx needs a share above 0; the line is removed while there is no canary
        text = _NGINX.format(folder=folder, port=port, model=model, servers=servers, percent=share)
        path.write_text(text if percent else text.replace(f"{share}% canary; ", ""))

    write(0)
    command = [shutil.which("nginx") or "/usr/sbin/nginx", "-p", str(folder), "-c", str(path)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)

    def share(percent: float) -> None:
        write(percent)
        subprocess.run([*command, "-s", "reload"], check=True, stderr=subprocess.DEVNULL)
        time.sleep(0.5)  # the old worker finishes its requests

    try:
        deadline = time.monotonic() + 10
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            if time.monotonic() > deadline or process.poll() is not None:
                sys.exit(f"nginx did not start: {(folder / 'nginx.log').read_text()}")
            time.sleep(0.05)
        yield port, share
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def running_servers(folder: Path, model: str, config: Path) -> Iterator[list[Any]]:
    """Runs three model servers with one models.config."""
    from bert_serving.model_server.process import ModelServerProcess

    flags = [f"--model_config_file={config}", "--max_num_load_retries=0", "--enable_batching=true"]
    flags += ["--allow_version_labels_for_unavailable_models=true"]
    with contextlib.ExitStack() as stack:
        servers = [
            ModelServerProcess(folder / model, model, extra_flags=flags, start_timeout=600, stop_timeout=30)
            for _ in range(SERVERS)
        ]
        for server in servers:
            stack.callback(server.stop)
            server.launch()
        for server in servers:
            server.wait_until_available()
        yield servers


def rehearse(export: Path, candidate: Path, rate: float, seconds: float, text: str) -> tuple[Timeline, list[list[Any]]]:
    """Runs the whole rehearsal; returns the events and all requests."""
    # Imports TensorFlow before the load is measured.
    import bert_serving.clients.grpc_client  # noqa: F401
    from bert_serving.observer import Observer
    from bert_serving.publishing.publication import PublicationTarget, publish
    from bert_serving.publishing.rollout.rollout import Rollout
    from bert_serving.publishing.rollout.server_group import ServerGroup
    from bert_serving.publishing.storage.location import open_location

    model = "rehearsal"
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        models = folder / "models"
        config = folder / "models.config"
        publish(export, PublicationTarget(open_location(str(models)), model, 1), {}, observer=Observer())
        config.write_text(_CONFIG.format(model=model, base=models / model))
        with (
            running_servers(models, model, config) as servers,
            running_nginx(folder, model, [server.rest_port for server in servers]) as (port, share),
        ):

            def label(*changes: str, back: bool = False) -> None:
                addresses = [server.grpc_address for server in servers]
                rollout = Rollout(config, ServerGroup(addresses, 300), model)
                if back:
                    rollout.roll_back()
                else:
                    rollout.change_labels(changes)

            print(f"  {SERVERS} servers behind nginx, {rate:g} requests per second", flush=True)
            command = [sys.executable, __file__, "--load", str(port), "--rate", str(rate), "--text", text]
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            timeline = Timeline()
            timeline.note("load begins; stable is version 1")
            time.sleep(seconds)
            publish(candidate, PublicationTarget(open_location(str(models)), model, 2), {}, observer=Observer())
            timeline.note("version 2 is published")
            label("canary=2")
            timeline.note("version 2 is AVAILABLE on all servers, label canary")
            share(CANARY_PERCENT)
            timeline.note(f"{CANARY_PERCENT}% of the requests to the canary")
            time.sleep(seconds)
            label("stable=2")
            share(0)
            timeline.note("promoted: stable is version 2")
            time.sleep(seconds)
            label(back=True)
            timeline.note("rolled back: stable is version 1")
            time.sleep(seconds)
            requests = json.loads(process.communicate("\n", timeout=120)[0])
            timeline.note("load ends")
    return timeline, requests


# === Results ===


def report(timeline: Timeline, requests: list[list[Any]]) -> int:
    """Prints a line for each phase and returns the number of failed requests."""
    failed = [each for each in requests if each[2] != 200]
    bounds = [*timeline.events, (max(each[0] for each in requests), "")]
    print(f"\n  {'from':>6} {'requests':>9} {'failed':>7} {'canary':>7} {'median':>9} {'95%':>9} {'99%':>9}")
    for (begin, what), (end, _) in itertools.pairwise(bounds):
        part = [each for each in requests if begin <= each[0] < end]
        if len(part) < 2:
            continue
        took = statistics.quantiles([each[1] for each in part], n=100)
        share = sum(each[3] == "canary" for each in part) / len(part)
        wrong = sum(each[2] != 200 for each in part)
        print(
            f"  {begin:5.1f}s {len(part):9,} {wrong:7} {share:7.1%} {took[49]:6.1f} ms {took[94]:6.1f} ms "
            f"{took[98]:6.1f} ms  {what}"
        )
    for sent, took, status, name in failed[:10]:
        print(f"  failed: sent at {sent:.2f} s, {name or 'no answer'}, status {status}, after {took:.0f} ms")
    length = bounds[-1][0] - bounds[0][0]
    print(
        f"\n  {len(requests):,} requests in {length:.0f} s, {len(requests) / length:.0f} each second, {len(failed)} failed"
    )
    return len(failed)


def draw(timeline: Timeline, requests: list[list[Any]], path: Path) -> None:
    """Plots requests by label and latency, second by second, with the events."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    seconds = int(max(each[0] for each in requests))
    within: list[list[list[Any]]] = [[] for _ in range(seconds + 1)]
    for each in requests:
        within[int(each[0])].append(each)
    figure, (upper, lower) = pyplot.subplots(2, 1, figsize=(11, 7), sharex=True, layout="constrained")
    places = range(seconds)
    bottom = [0] * seconds
    for name, color in (("stable", "#4477aa"), ("canary", "#ddaa33"), ("failed", "#bb3344")):
        counts = [
            sum((each[3] == name and each[2] == 200) or (name == "failed" and each[2] != 200) for each in within[place])
            for place in places
        ]
        upper.bar(places, counts, 1.0, bottom, align="edge", color=color, label=f"{name} ({sum(counts):,})")
        bottom = [low + count for low, count in zip(bottom, counts, strict=True)]
    upper.set_ylabel("requests each second")
    for quantile, name, color in ((49, "median", "#4477aa"), (94, "95%", "#ee8866"), (98, "99%", "#bb3344")):
        values = [
            statistics.quantiles([each[1] for each in part], n=100)[quantile] if len(part) > 1 else float("nan")
            for part in within[:seconds]
        ]
        lower.plot([place + 0.5 for place in places], values, color=color, label=name)
    lower.set_yscale("log")
    lower.set_ylabel("latency in ms")
    lower.set_xlabel("seconds")
    upper.set_ylim(0, 1.9 * max(bottom))
    for number, (when, what) in enumerate(timeline.events[:-1]):
        for axes in (upper, lower):
            axes.axvline(when, color="#666666", linewidth=0.8, linestyle="--")
        # Staggered, because events are close together; late ones are left of their line.
        late = when > 0.6 * seconds
        upper.annotate(
            what,
            (when, 0.97 - 0.075 * (number % 6)),
            (-4 if late else 4, 0),
            ("data", "axes fraction"),
            "offset points",
            va="top",
            ha="right" if late else "left",
            fontsize=9,
        )
    upper.legend(loc="lower left")
    lower.legend(loc="upper right")
    upper.set_title("A rollout under constant load: publish, canary, promote, roll back")
    figure.savefig(path, dpi=110)


def main() -> int:
    """Rehearses a rollout, reports and plots it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--export", type=Path, help="version folder that is stable at the start")
    parser.add_argument("--candidate", type=Path, help="version folder to roll out; default: the same")
    parser.add_argument("--rate", type=float, default=200.0, help="requests per second")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of each phase")
    parser.add_argument("--text", default="where is my parcel?")
    parser.add_argument("--picture", type=Path, help="PNG file to write")
    parser.add_argument("--load", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.load:
        load(given.load, given.rate, given.text)
        return 0
    if given.export is None or not (given.export / "saved_model.pb").is_file():
        parser.error(f"--export {given.export}: give a version folder that export wrote")
    if shutil.which("nginx") is None and not Path("/usr/sbin/nginx").exists():
        parser.error("nginx is not installed; install it (Debian: apt-get install nginx-light)")
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    timeline, requests = rehearse(given.export, given.candidate or given.export, given.rate, given.seconds, given.text)
    failed = report(timeline, requests)
    if given.picture:
        draw(timeline, requests, given.picture)
        print(f"  picture: {given.picture}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
