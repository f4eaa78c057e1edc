"""The API server by blocking calls, for threads: the only place where bytes are exchanged with it."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING, Any

import attrs
import urllib3
from urllib3.connection import HTTPConnection
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    InsecureRequestWarning,
    NewConnectionError,
    ProxyError,
)

from meshnet import __version__
from meshnet.errors import StoreUnavailable
from meshnet.stores.kubernetes.access import credentials
from meshnet.stores.kubernetes.errors import closed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from urllib3.response import BaseHTTPResponse

    from meshnet.stores.kubernetes.access import Access
    from meshnet.stores.kubernetes.request import Request

CONNECT_S = 3.0
QUIET_S = 120.0
"""Seconds without a byte after which a watch is dialled again; a bookmark comes every minute where anything changes."""

_KEEPALIVE = [
    *HTTPConnection.default_socket_options,
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 15),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 30_000),
]
"""A server that is gone without a word is noticed in half a minute, also by a watch, which never says anything."""


class Unreachable(Exception):  # noqa: N818  (named after what is)
    """No answer came, or only part of one.

    Attributes:
        sent: whether the server may have done what was asked.
    """

    def __init__(self, why: str, *, sent: bool) -> None:
        self.sent = sent
        super().__init__(why)


@attrs.frozen
class Answer:
    """What the server answered, whole."""

    status: int
    body: bytes
    retry_after_s: float | None = None


class Feed:
    """A watch's answer while it comes. `chunks` is for one thread, `stop` for any."""

    def __init__(self, response: BaseHTTPResponse) -> None:
        self._response = response

    def chunks(self) -> Iterator[bytes]:
        """Yield bytes as they come until the server ends the watch. Raises Unreachable."""
        try:
            yield from self._response.stream(1 << 16)
        except (HTTPError, OSError, ValueError) as error:  # ValueError: stopped at that very moment
            raise Unreachable(_why(error), sent=True) from error
        finally:
            self._response.close()

    def stop(self) -> None:
        """Have `chunks` end, also when it waits."""
        with contextlib.suppress(ValueError, RuntimeError, OSError):  # over already
            self._response.shutdown()


class Door:
    """Connections to an API server, kept open between requests. Nothing is opened before the first.

    Args:
        access: to which, and as whom.
        connections: to keep.
    """

    def __init__(self, access: Access, connections: int) -> None:
        self._access = access
        self._connections = connections
        self._lock = threading.Lock()
        self._pool: Any = None
        self._configuration: Any = None
        self._token = _Token(access.token_file) if access.token_file else None
        self._closed = False

    def ask(self, request: Request) -> Answer:
        """Send a request and return the answer. Raises Unreachable, StoreUnavailable."""
        timeout = urllib3.Timeout(connect=min(CONNECT_S, request.limit_s), read=request.limit_s)
        try:
            response = self._send(request, timeout, whole=True)
            return _answer(response)
        except HTTPError as error:
            unsent = isinstance(error, (NewConnectionError, ConnectTimeoutError))
            raise Unreachable(_why(error), sent=not unsent) from error

    def watch(self, request: Request) -> Feed | Answer:
        """Begin a watch; an Answer is a refusal. Raises Unreachable, StoreUnavailable."""
        timeout = urllib3.Timeout(connect=CONNECT_S, read=QUIET_S)
        try:
            response = self._send(request, timeout, whole=False)
            if response.status == 200:
                return Feed(response)
            return _answer(response)
        except HTTPError as error:
            raise Unreachable(_why(error), sent=False) from error

    def close(self) -> None:
        """Close what is idle and send nothing any more; what is under way ends by itself."""
        self._closed = True
        # Without the lock: whoever has it may be waiting for a program that a kubeconfig signs in with.
        if self._pool is not None:
            self._pool.clear()

    @property
    def server(self) -> str:
        """The server's URL, ``""`` before the first request."""
        return str(self._configuration.host) if self._configuration is not None else ""

    def _send(self, request: Request, timeout: urllib3.Timeout, *, whole: bool) -> BaseHTTPResponse:
        pool = self._connected()
        headers = {"User-Agent": f"meshnet/{__version__}", "Accept": "application/json", **self._authorization()}
        if request.body is not None:
            headers["Content-Type"] = request.content_type
        response: BaseHTTPResponse = pool.request(
            request.method,
            self.server.rstrip("/") + request.path,
            body=request.body,
            headers=headers,
            timeout=timeout,
            retries=False,
            redirect=False,
            preload_content=whole,
        )
        return response

    def _connected(self) -> Any:
        with self._lock:
            if self._pool is None and not self._closed:
                configuration, connections = self._access.configuration()
                configuration.connection_pool_maxsize = self._connections
                if not configuration.verify_ssl:  # as the user's kubeconfig says
                    urllib3.disable_warnings(InsecureRequestWarning)
                pool = connections(configuration).pool_manager
                pool.connection_pool_kw["socket_options"] = _KEEPALIVE
                self._configuration, self._pool = configuration, pool
            if self._closed:
                raise closed()
            return self._pool

    def _authorization(self) -> dict[str, str]:
        if self._token is not None:
            return {"Authorization": f"Bearer {self._token.read()}"}
        return credentials(self._configuration)


class _Token:
    """A service account's token, which kubelet replaces now and then."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._mark: object = None
        self._text = ""

    def read(self) -> str:
        """Return the token as it is now. Raises StoreUnavailable."""
        try:
            found = self._path.stat()
            mark = found.st_ino, found.st_mtime_ns
            if mark != self._mark:
                self._text, self._mark = self._path.read_text().strip(), mark
        except OSError as error:
            raise StoreUnavailable(f"service account's token {self._path}: {error.strerror}") from error
        return self._text


def _answer(response: BaseHTTPResponse) -> Answer:
    seconds = response.headers.get("Retry-After", "")
    return Answer(response.status, response.data, float(seconds) if seconds.isdecimal() else None)


def _why(error: Exception) -> str:
    """Why there was no answer, in as few words as the system has for it."""
    if isinstance(error, ProxyError):
        return f"by a proxy: {_why(error.original_error)}"
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror.lower() if cause.strerror.isascii() else cause.strerror
        cause = cause.__cause__ or cause.__context__
    return str(error)
