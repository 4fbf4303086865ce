"""A model hub on loopback that speaks what huggingface_hub sends, and keeps what arrives.

Files reach a hub in three ways, and the server takes all of them: small ones inside the commit; large ones as Git LFS objects; or,
where hf_xet is installed, as chunks in "xorbs" with a "shard" that tells how files are made of them. Formats as in the
specification of the Xet protocol: https://huggingface.co/docs/xet/index
"""

import base64
import hashlib
import json
import re
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pyarrow
import yaml

TOKEN = "hf_a_token_that_may_write"
OWNER = "lab"
# The real hub decides by name and content; here a file of this size and more is large.
LARGE = 1_000

Answer = Callable[["Handler"], None]


@dataclass
class Repository:
    """One repository: the files of each branch, and what its commits said."""

    private: bool = False
    branches: dict[str, dict[str, bytes]] = field(default_factory=lambda: {"main": {}})
    messages: list[str] = field(default_factory=list)


class Hub(ThreadingHTTPServer):
    """The server. `answers` replaces the answers to requests whose method and path match a pattern."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.repositories: dict[str, Repository] = {}
        self.objects: dict[str, bytes] = {}
        self.xorbs: dict[str, list[bytes]] = {}
        self.answers: dict[str, Answer] = {}
        self.requests: list[str] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def asked(self, pattern: str) -> bool:
        """Whether there was a request whose method and path match."""
        return any(re.search(pattern, request) for request in self.requests)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no error of the server's."""


@contextmanager
def running_hub() -> Iterator[Hub]:
    """A hub that answers until the block ends."""
    with Hub() as hub:
        # shutdown() waits for the next turn of this loop.
        threading.Thread(target=hub.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield hub
        hub.shutdown()


class Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    server: Hub
    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        self.body = self._read()
        path, _, _ = self.path.partition("?")
        request = f"{self.command} {path}"
        self.server.requests.append(request)
        for pattern, answer in self.server.answers.items():
            if re.search(pattern, request):
                answer(self)
                return
        # An upload goes to an address that the hub gave away with its key in it.
        if not path.startswith("/objects/") and self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self.refuse(401, "Invalid username or password.")
            return
        for pattern, route in ROUTES.items():
            if match := re.fullmatch(pattern, request):
                route(self, *match.groups())
                return
        self.refuse(404, "Not found")

    do_GET = do_POST = do_PUT = do_HEAD = answer  # noqa: N815 - the names that http.server looks for

    def send(self, value: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        content = json.dumps(value).encode()
        self.send_response(status)
        for name, header in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, header)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def refuse(self, status: int, message: str, code: str | None = None) -> None:
        headers = {"X-Error-Message": message} | ({"X-Error-Code": code} if code else {})
        self.send({"error": message}, status, headers)

    def json(self) -> Any:
        return json.loads(self.body)

    def log_message(self, *args: object) -> None:
        pass

    def _read(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)


# === Answers that tests put instead of the usual ones ===


def refusal(status: int, message: str) -> Answer:
    return lambda handler: handler.refuse(status, message)


def hang_up(handler: Handler) -> None:
    """Ends the connection without an answer."""
    handler.close_connection = True
    handler.connection.close()


def page(handler: Handler) -> None:
    """What a proxy in between may answer."""
    content = b"<html>Sign in to the network</html>"
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content)


# === The hub ===


def create(handler: Handler) -> None:
    options = handler.json()
    owner, name = options.get("organization"), options["name"]
    if owner != OWNER:
        handler.refuse(403, f'You don\'t have the rights to create a model under the namespace "{owner}"')
        return
    known = handler.server.repositories
    status = 409 if f"{owner}/{name}" in known else 200
    known.setdefault(f"{owner}/{name}", Repository(private=options.get("visibility") == "private"))
    handler.send({"url": f"{handler.server.address}/{owner}/{name}", "error": "exists"}, status)


def repository(handler: Handler, name: str) -> Repository | None:
    stored = handler.server.repositories.get(name)
    if stored is None:
        handler.refuse(404, "Repository not stored", "RepoNotFound")
    return stored


def info(handler: Handler, name: str, revision: str = "main") -> None:
    if (stored := repository(handler, name)) is not None:
        sha = f"{len(stored.messages):040x}"
        siblings = [{"rfilename": path} for path in stored.branches.get(revision, {})]
        handler.send(
            {"id": name, "modelId": name, "private": stored.private, "sha": sha, "siblings": siblings, "tags": []}
        )


def resolve(handler: Handler, name: str, revision: str, path: str) -> None:
    """A file at a branch, or at the last commit, which is that of the main branch."""
    if (stored := repository(handler, name)) is None:
        return
    content = stored.branches.get("main" if len(revision) == 40 else revision, {}).get(path)
    if content is None:
        handler.refuse(404, "Entry not stored", "EntryNotFound")
        return
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content)


def branch(handler: Handler, name: str, new: str) -> None:
    if ".." in new:
        handler.refuse(400, "Invalid reference name")
    elif (stored := repository(handler, name)) is not None:
        status = 409 if new in stored.branches else 200
        stored.branches.setdefault(new, dict(stored.branches["main"]))
        handler.send({"error": "exists"} if status == 409 else {}, status)


def validate(handler: Handler) -> None:
    """As the real hub: the metadata must be YAML, and its model index complete."""
    start, metadata, _ = handler.json()["content"].split("---\n", 2)
    try:
        assert not start
        metadata = yaml.safe_load(metadata)
        for entry in metadata.get("model-index", []):
            for result in entry["results"]:
                assert result["task"]["type"]
                assert result["dataset"]["type"]
                assert result["dataset"]["name"]
                assert all(isinstance(metric["value"], float) and metric["type"] for metric in result["metrics"])
    except (yaml.YAMLError, LookupError, AssertionError) as error:
        handler.send({"errors": [{"message": repr(error)}], "warnings": []}, 400)
    else:
        handler.send({"errors": [], "warnings": []})


def preupload(handler: Handler, name: str, revision: str) -> None:
    if (stored := repository(handler, name)) is None:
        return
    if revision not in stored.branches:
        handler.refuse(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return
    there = stored.branches[revision]
    handler.send({"files": [describe(file, there) for file in handler.json()["files"]]})


def describe(file: dict[str, Any], there: dict[str, bytes]) -> dict[str, Any]:
    large, known = file["size"] >= LARGE, there.get(file["path"])
    described = {"path": file["path"], "uploadMode": "lfs" if large else "regular", "shouldIgnore": False}
    if known is None:
        return described
    git = hashlib.sha1(b"blob %d\0" % len(known) + known).hexdigest()
    return described | {"oid": hashlib.sha256(known).hexdigest() if large else git}


def commit(handler: Handler, name: str, revision: str) -> None:
    if (stored := repository(handler, name)) is None:
        return
    files = dict(stored.branches[revision])
    message = ""
    for line in handler.body.splitlines():
        item = json.loads(line)
        value = item["value"]
        match item["key"]:
            case "header":
                message = value["summary"]
            case "file":
                files[value["path"]] = base64.b64decode(value["content"])
            case "lfsFile":
                content = handler.server.objects.get(value["oid"])
                if content is None or len(content) != value["size"]:
                    handler.refuse(400, f"{value['path']}: its content was never uploaded")
                    return
                files[value["path"]] = content
    stored.branches[revision] = files
    stored.messages.append(message)
    sha = f"{len(stored.messages):040x}"
    url = f"{handler.server.address}/{name}/commit/{sha}"
    handler.send({"success": True, "commitUrl": url, "commitOid": sha, "hookOutput": ""})


# === Git LFS: https://github.com/git-lfs/git-lfs/blob/main/docs/api/batch.md ===


def batch(handler: Handler, name: str) -> None:
    objects = []
    for described in handler.json()["objects"]:
        if described["oid"] not in handler.server.objects:
            address = f"{handler.server.address}/objects/{described['oid']}"
            verify = f"{handler.server.address}/verify"
            described = {**described, "actions": {"upload": {"href": address}, "verify": {"href": verify}}}
        objects.append(described)
    handler.send({"transfer": "basic", "objects": objects})


def put_object(handler: Handler, oid: str) -> None:
    if hashlib.sha256(handler.body).hexdigest() != oid:
        handler.refuse(400, "the content does not have this sha256")
        return
    handler.server.objects[oid] = handler.body
    handler.send({})


def verify(handler: Handler) -> None:
    uploaded = handler.json()
    whole = len(handler.server.objects.get(uploaded["oid"], b"")) == uploaded["size"]
    handler.send({}, 200 if whole else 404)


# === Xet ===

_XORB_CHUNK = struct.Struct("<B3sB3s")
_SHARD_RECORD = 48
_BOOKEND = b"\xff" * 32
_WITH_VERIFICATION, _WITH_METADATA = 1 << 31, 1 << 30


def xet_token(handler: Handler, name: str, revision: str) -> None:
    end, address = int(time.time()) + 3600, handler.server.address
    headers = {"X-Xet-Cas-Url": address, "X-Xet-Access-Token": TOKEN, "X-Xet-Token-Expiration": str(end)}
    handler.send({"casUrl": address, "accessToken": TOKEN, "exp": end}, headers=headers)


def put_xorb(handler: Handler, name: str) -> None:
    handler.server.xorbs[name] = list(chunks(handler.body))
    handler.send({"was_inserted": True})


def chunks(xorb: bytes) -> Iterator[bytes]:
    """The chunks of a xorb, unpacked: each has a header of version, packed size, compression, size."""
    position = 0
    while position + _XORB_CHUNK.size <= len(xorb):
        version, packed, compression, size = _XORB_CHUNK.unpack_from(xorb, position)
        if version != 0 or xorb.startswith(b"XETBLOB", position):
            return  # the table of contents after the last chunk
        start = position + _XORB_CHUNK.size
        position = start + int.from_bytes(packed, "little")
        yield unpacked(xorb[start:position], compression, int.from_bytes(size, "little"))


def unpacked(content: bytes, compression: int, size: int) -> bytes:
    if compression == 0:
        return content
    content = pyarrow.decompress(content, size, codec="lz4", asbytes=True)
    if compression == 1:
        return content
    # Every fourth byte together, as suits floats: four groups, the first ones a byte longer where it does not come out even.
    groups, start = [], 0
    for group in range(4):
        end = start + (size - group + 3) // 4
        groups.append(content[start:end])
        start = end
    whole = bytearray(size)
    for group, part in enumerate(groups):
        whole[group::4] = part
    return bytes(whole)


def put_shard(handler: Handler) -> None:
    """Puts the files of a shard together."""
    shard, position = handler.body, _SHARD_RECORD
    while not shard.startswith(_BOOKEND, position):
        flags, entries = struct.unpack_from("<II", shard, position + 32)
        position += _SHARD_RECORD
        content = b""
        for _ in range(entries):
            _, _, first, end = struct.unpack_from("<IIII", shard, position + 32)
            content += b"".join(handler.server.xorbs[xet_name(shard[position : position + 32])][first:end])
            position += _SHARD_RECORD
        position += _SHARD_RECORD * (entries * bool(flags & _WITH_VERIFICATION) + bool(flags & _WITH_METADATA))
        handler.server.objects[hashlib.sha256(content).hexdigest()] = content
    handler.send({"result": 1})


def xet_name(digest: bytes) -> str:
    """A digest as it stands in an address: four little-endian numbers."""
    return "".join(f"{number:016x}" for number in struct.unpack("<4Q", digest))


_NAME = r"([\w.-]+/[\w.-]+)"
_REVISION = r"([\w.%-]+)"
ROUTES: dict[str, Callable[..., None]] = {
    r"POST /api/repos/create": create,
    rf"GET /{_NAME}/resolve/{_REVISION}/(.+)": resolve,
    rf"GET /api/models/{_NAME}": info,
    rf"GET /api/models/{_NAME}/revision/{_REVISION}": info,
    rf"POST /api/models/{_NAME}/branch/{_REVISION}": branch,
    r"POST /api/validate-yaml": validate,
    rf"POST /api/models/{_NAME}/preupload/{_REVISION}": preupload,
    rf"POST /api/models/{_NAME}/commit/{_REVISION}": commit,
    rf"POST /{_NAME}\.git/info/lfs/objects/batch": batch,
    r"PUT /objects/(\w+)": put_object,
    r"POST /verify": verify,
    rf"GET /api/models/{_NAME}/xet-write-token/{_REVISION}": xet_token,
    r"POST /v1/xorbs/default/(\w+)": put_xorb,
    r"POST /v1/shards": put_shard,
}
