"""A server that answers as it is told, for what a real API server does only when it is in trouble."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import attrs

from meshnet.stores.kubernetes.access import Access

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path


@attrs.frozen
class Reply:
    """An answer: a whole body, or lines that come one by one; `hold` keeps the connection open after them."""

    status: int = 200
    body: Any = attrs.field(factory=dict)
    headers: dict[str, str] = attrs.field(factory=dict)
    lines: Iterable[Any] | None = None
    hold: bool = False


HANG_UP = Reply(status=0)
"""The connection is closed without an answer."""


@attrs.frozen
class Asked:
    """What was asked."""

    method: str
    path: str
    headers: dict[str, str]
    body: str


class Server:
    """Gives the replies in turn, the last one for ever, and remembers what it was asked."""

    def __init__(self, *replies: Reply) -> None:
        self.replies = list(replies)
        self.asked: list[Asked] = []
        self.released = threading.Event()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def access(self, directory: Path) -> Access:
        """How a store reaches it."""
        return access_to(self.url, directory)

    def next_reply(self) -> Reply:
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]


def access_to(url: str, directory: Path, **user: Any) -> Access:
    """Access by a kubeconfig of its own; `user` is who asks, else it is known by a token."""
    cluster, user = {"server": url}, user or {"token": "s3cret"}
    context = {"cluster": "c", "user": "u"}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "x", "context": context}],
        "current-context": "x",
    }
    path = directory / "kubeconfig"
    path.write_text(json.dumps(config))
    return Access(kubeconfig=str(path), environ={})


def status(code: int, reason: str, message: str = "told", **details: Any) -> dict[str, Any]:
    """A Status of the API."""
    told = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code}
    return told | {"reason": reason, "message": message, "details": details}


def _handler(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            server.asked.append(Asked(self.command, self.path, dict(self.headers), body))
            reply = server.next_reply()
            if reply is HANG_UP:
                self.close_connection = True
                return
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            if reply.lines is None:
                self._whole(reply)
            else:
                self._bit_by_bit(reply, iter(reply.lines))

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815  (found by these names)

        def log_message(self, *_: object) -> None:
            pass

        def _whole(self, reply: Reply) -> None:
            data = reply.body.encode() if isinstance(reply.body, str) else json.dumps(reply.body).encode()
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def _bit_by_bit(self, reply: Reply, lines: Iterator[Any]) -> None:
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for line in lines:
                data = json.dumps(line).encode() + b"\n"
                self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
                self.wfile.flush()
            if reply.hold:
                server.released.wait(20)
            self.wfile.write(b"0\r\n\r\n")

    return Handler
