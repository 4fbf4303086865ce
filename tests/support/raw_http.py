"""Requests over HTTP byte by byte, as clients and people send them."""

import json
import socket
from dataclasses import dataclass


@dataclass(frozen=True)
class Reply:
    """An answer: its status, its headers in lower case, and its body."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self):
        return json.loads(self.body)


def request(line, *headers, body=b"", host="x"):
    """The bytes of a request; `line` is its method and its address, with or without the protocol."""
    line = line if " HTTP/" in line else f"{line} HTTP/1.1"
    named = [f"Host: {host}"] * (host is not None) + list(headers) + ["Connection: close"]
    if body and not any(name.lower().startswith(("content-length", "transfer-encoding")) for name in headers):
        named.append(f"Content-Length: {len(body)}")
    return "\r\n".join([line, *named, "", ""]).encode() + body


def exchange(port, data):
    """The one answer on a connection, which the server closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(data)
        came = b""
        while piece := connection.recv(1 << 16):
            came += piece
    head, _, body = came.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n").partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return Reply(int(first.split(" ")[1]), headers, body)
