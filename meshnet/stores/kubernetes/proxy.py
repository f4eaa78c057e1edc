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


def set_proxy(configuration: Any, own: str, environ: Mapping[str, str]) -> None:
    """Have the client take a cluster's own proxy, ``""`` for none; else the environment's, but for loopback.

    Raises StoreUnavailable for what is no URL, without it: it may have a password.
    """

    def said(name: str) -> str | None:
        return environ.get(name.upper()) or environ.get(name) or None

    server = urllib.parse.urlsplit(configuration.host)
    proxy = own or (None if _is_loopback(server.hostname or "") else said(f"{server.scheme}_proxy"))
    configuration.proxy = f"http://{proxy}" if proxy and "://" not in proxy else proxy
    configuration.no_proxy = None if own else said("no_proxy")
    try:
        who = ":".join(who_asks(configuration.proxy or ""))
    except ValueError as error:
        raise StoreUnavailable(f"the proxy before {configuration.host}: {error}") from error
    if who:
        configuration.proxy_headers = {"proxy-authorization": f"Basic {base64.b64encode(who.encode()).decode()}"}


def who_asks(proxy: str) -> tuple[str, ...]:
    """Return the name and the password in a proxy's URL, if there are any."""
    url = urllib.parse.urlsplit(proxy)
    return tuple(urllib.parse.unquote(part or "") for part in (url.username, url.password)) if url.username else ()


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
