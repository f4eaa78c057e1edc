"""By which proxy an API server is reached, by the rules that kubectl has.

The client of the package `kubernetes` (release 35) knows no cluster's own proxy, takes `HTTP_PROXY` for any server,
forgets what `NO_PROXY` says, and does not tell a proxy who asks.
"""

from __future__ import annotations

import base64
import ipaddress
import urllib.parse
from typing import TYPE_CHECKING, Any

from meshnet.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

_PORTS = {"http": 80, "https": 443}


def set_proxy(configuration: Any, own: str, environ: Mapping[str, str]) -> None:
    """Have the client take a cluster's own proxy, ``""`` for none; else the environment's where that says so.

    Raises StoreUnavailable for what is no URL, without it: it may have a password.
    """
    try:
        proxy = own or _by_environment(urllib.parse.urlsplit(configuration.host), environ)
        who = ":".join(who_asks(proxy))
    except ValueError as error:
        raise StoreUnavailable(f"the proxy before {configuration.host}: {error}") from error
    configuration.proxy, configuration.no_proxy = proxy or None, None
    if who:
        configuration.proxy_headers = {"proxy-authorization": f"Basic {base64.b64encode(who.encode()).decode()}"}


def who_asks(proxy: str) -> tuple[str, ...]:
    """Return the name and the password in a proxy's URL, if there are any."""
    url = urllib.parse.urlsplit(proxy)
    return tuple(urllib.parse.unquote(part or "") for part in (url.username, url.password)) if url.username else ()


def _by_environment(server: urllib.parse.SplitResult, environ: Mapping[str, str]) -> str:
    """Return the proxy that the environment names for a server; ``""`` for none, and for loopback."""

    def said(name: str) -> str:
        return environ.get(name.upper()) or environ.get(name) or ""

    proxy = said(f"{server.scheme}_proxy")
    direct = ("localhost", "127.0.0.0/8", "::1", *said("no_proxy").split(","))
    if not proxy or any(_means(entry.strip().lower(), server) for entry in direct):
        return ""
    return proxy if "://" in proxy else f"http://{proxy}"


def _means(entry: str, server: urllib.parse.SplitResult) -> bool:
    """Tell whether a server is in an entry of `NO_PROXY`: a name with all below it, an address or a network; ``*``."""
    name, host = entry, server.hostname or ""
    try:
        if entry.startswith("[") or entry.count(":") == 1:
            one = urllib.parse.urlsplit(f"//{entry}")
            if one.port not in (None, server.port or _PORTS.get(server.scheme)):
                return False
            name = one.hostname or ""
        return ipaddress.ip_address(host) in ipaddress.ip_network(name, strict=False)
    except ValueError:  # not both are addresses
        below = name.lstrip("*.")
        return name in ("*", host) or bool(below and host.endswith(f".{below}"))
