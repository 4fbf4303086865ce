"""Proxies that the environment names: which one a connection takes, and which variable is to blame when it fails."""

import ipaddress
import os
import re
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit
from urllib.request import getproxies

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
"""hosts that are never reached through a proxy, as they stand in URLs; `is_this_machine` knows the others"""

# In the order of gRPC, which knows the names in lower case only, and only proxies over plain HTTP.
_OF_GRPC = ("grpc_proxy", "https_proxy", "http_proxy")
_NOT_OF_GRPC = ("no_grpc_proxy", "no_proxy")


@dataclass(frozen=True)
class Proxy:
    """A proxy and where its address is from.

    Attributes:
        variable: name of the environment variable.
        url: its value, with a scheme; may hold a password.
    """

    variable: str
    url: str

    def __str__(self) -> str:
        """Address and variable, without user and password."""
        return f"{self.shown} (environment variable {self.variable})"

    @property
    def shown(self) -> str:
        """The address without user and password, also where it is malformed."""
        return re.sub(r"^([A-Za-z][A-Za-z0-9+.-]*://)?.*@", r"\1", self.url)


def through(proxy: Proxy | None) -> str:
    """The end of a message about a failed request: the proxy that it went through, and what to do."""
    return "" if proxy is None else f", through the proxy {proxy}: unset the variable, or list the host in no_proxy"


def unusable(proxy: Proxy, error: Exception) -> str:
    """The message about a proxy that httpx refuses."""
    remedy = "install httpx[socks]" if isinstance(error, ImportError) else "expected a value like http://host:3128"
    return f"{proxy.variable} is {proxy.shown}, which cannot be used as a proxy: {remedy}, or unset it"


def without_password(url: str) -> str:
    """A URL without user and password."""
    return re.sub(r"^([A-Za-z][A-Za-z0-9+.-]*://)?[^/]*@", r"\1", url)


def http_proxy(url: str) -> Proxy | None:
    """The proxy for an HTTP client's requests to a URL; None for a direct connection, as always to this machine."""
    scheme, host, port = _parts(url)
    values = getproxies()  # on some systems those of the settings, too
    name = scheme if values.get(scheme) else "all"
    value = values.get(name)
    if not value or is_this_machine(host) or _is_excepted(host, port, values.get("no", "")):
        return None
    variable = next((key for key in sorted(os.environ, reverse=True) if key.lower() == f"{name}_proxy"), "none: system")
    return Proxy(variable, value if "://" in value else f"http://{value}")


def grpc_proxy(address: str) -> Proxy | None:
    """The proxy for a gRPC channel to host:port; None for a direct connection, as always to this machine."""
    _, host, port = _parts(f"//{address}")
    variable = next((name for name in _OF_GRPC if os.environ.get(name)), "")
    excepted = next((os.environ[name] for name in _NOT_OF_GRPC if os.environ.get(name)), "")
    if not os.environ.get(variable, "").startswith("http://"):
        return None
    if is_this_machine(host) or _is_excepted(host, port, excepted):
        return None
    return Proxy(variable, os.environ[variable])


def is_this_machine(host: str) -> bool:
    """Whether a host name or address is a loopback one, or this machine's own name."""
    host = host.lower().rstrip(".")
    if host in ("localhost", socket.gethostname().lower()) or host.endswith(".localhost"):
        return True
    address = _address(host)
    if address is None:
        return False
    mapped = getattr(address, "ipv4_mapped", None) or address
    # A connection to 0.0.0.0 or :: ends at this machine.
    return bool(mapped.is_loopback or mapped.is_unspecified)


def _is_excepted(host: str, port: int | None, exceptions: str) -> bool:
    """Whether no_proxy lists a host: by name, domain, address, network or `*`; with a port, for that port."""
    return any(_matches(host.lower().rstrip("."), port, entry) for entry in re.split(r"[\s,]+", exceptions) if entry)


def _matches(host: str, port: int | None, entry: str) -> bool:
    if entry == "*":
        return True
    entry = entry.rpartition("://")[2].lower()
    network, address = _network(entry), _address(host)
    if network is not None:
        return address is not None and address in network
    _, name, only = _parts(f"//{entry}")
    if only not in (None, port):
        return False
    if (listed := _address(name)) is not None:
        return listed == address
    name = name.lstrip("*").strip(".")
    return bool(name) and (host == name or host.endswith(f".{name}"))


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text.strip("[]"), strict=False)
    except ValueError:
        return None


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None


def _parts(url: str) -> tuple[str, str, int | None]:
    """Scheme, host and port; empty where the URL is malformed, which whoever connects to it reports."""
    try:
        parts = urlsplit(url)
        return parts.scheme, parts.hostname or "", parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return "", "", None
