"""Questions to a node's daemon over its local socket, from inside the box."""

from __future__ import annotations

import json
import socket
import struct
from typing import TYPE_CHECKING, Any

from meshnet.errors import DaemonUnreachable

if TYPE_CHECKING:
    from pathlib import Path

_HEAD = struct.Struct("<BII")
_VERSION = 1
LARGEST_ANSWER = 64 << 20


def ask(path: Path, query: str, timeout_s: float = 5.0) -> dict[str, Any]:
    """Return the daemon's answer to `query`. Raises DaemonUnreachable."""
    environment = f"MESHNET_QUERY={query}\0".encode()
    answer = bytearray()
    try:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(timeout_s)
            sock.connect(str(path))
            sock.sendall(_HEAD.pack(_VERSION, len(environment), len(environment)) + environment)
            while chunk := sock.recv(1 << 18):
                answer += chunk
                if len(answer) > LARGEST_ANSWER:
                    raise DaemonUnreachable(f"daemon at {path}: query {query}: more than {LARGEST_ANSWER} bytes")
    except OSError as error:
        raise DaemonUnreachable(f"daemon at {path}: query {query}: {error}") from error
    try:
        found = json.loads(answer[1:])
    except ValueError:
        found = None
    if answer[:1] != b"0" or not isinstance(found, dict):
        said = answer[1:201].decode(errors="replace").strip()
        raise DaemonUnreachable(f"daemon at {path}: query {query}: it answered {said or 'nothing'!r}")
    return found


def listens(path: Path) -> bool:
    """Tell whether a daemon takes connections at `path`."""
    try:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(1.0)
            sock.connect(str(path))
    except OSError:
        return False
    return True
