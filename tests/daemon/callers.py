"""Callers of a daemon's local socket, well-behaved or not."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from typing import TYPE_CHECKING

from meshnet.cni.frame import decode_reply

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def exchange(path: Path, *pieces: bytes, fds: Sequence[int] = (), close: bool = True) -> bytes:
    """Send pieces, the descriptors with the first, and return the whole answer: none, if the daemon hangs up."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(10)
        sock.connect(os.fspath(path))
        with contextlib.suppress(ConnectionError):
            for piece in pieces:
                sent = socket.send_fds(sock, [piece], list(fds))
                fds = ()
                sock.sendall(piece[sent:])
                time.sleep(0.002)
            if close:
                sock.shutdown(socket.SHUT_WR)
        answer = b""
        with contextlib.suppress(ConnectionError):
            while piece := sock.recv(1 << 16):
                answer += piece
        return answer


def code_of(answer: bytes) -> int:
    """Return the code of a refusal, which the answer must be."""
    reply = decode_reply(answer)
    assert reply.code == 1
    code: int = json.loads(reply.body)["code"]
    return code
