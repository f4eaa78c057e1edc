"""An API server of one kind of request: commands in pods, whose outcome is as it is told."""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import struct
import threading
import urllib.parse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

STEP_S = 20
SUCCESS = json.dumps({"status": "Success"}).encode()
_KEY = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def failure(code: int) -> bytes:
    """What is said of a command that ended with an exit code."""
    causes = [{"reason": "ExitCode", "message": str(code)}]
    return json.dumps({"status": "Failure", "reason": "NonZeroExitCode", "details": {"causes": causes}}).encode()


class PodServer:
    """Takes every WebSocket, sends the messages, each of a stream and its bytes, and hangs up unless it `hold`s."""

    def __init__(self, *messages: tuple[int, bytes], hold: bool = False) -> None:
        self.asked: list[dict[str, Sequence[str]]] = []
        self.headers: list[str] = []
        self._messages = messages
        self._hold = hold
        self._done = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> PodServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(STEP_S)
        self._listener.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.settimeout(STEP_S)
            with connection:
                self._talk(connection)

    def _talk(self, connection: socket.socket) -> None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += connection.recv(65536)
        request, *lines = head.decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines if line)
        self.headers += [line for line in lines if line]
        self.asked.append(dict(urllib.parse.parse_qs(urllib.parse.urlsplit(request.split()[1]).query)))
        key = next(line.split(": ")[1] for line in lines if line.lower().startswith("sec-websocket-key"))
        connection.sendall(_welcome(key, headers))
        for stream, data in self._messages:
            connection.sendall(_message(2, bytes([stream]) + data))
        if self._hold:
            self._done.wait(STEP_S)
        else:
            connection.sendall(_message(8, struct.pack("!H", 1000)))


def _welcome(key: str, headers: dict[str, Any]) -> bytes:
    accept = base64.b64encode(hashlib.sha1((key + _KEY).encode()).digest()).decode()
    lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"]
    lines += [f"Sec-WebSocket-Accept: {accept}", f"Sec-WebSocket-Protocol: {headers['sec-websocket-protocol']}"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _message(code: int, data: bytes) -> bytes:
    size = bytes([len(data)]) if len(data) < 126 else b"\x7e" + struct.pack("!H", len(data))
    return bytes([0x80 | code]) + size + data
