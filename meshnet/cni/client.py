"""Questions to a node's daemon over its local socket, for the command line and for labs."""

from __future__ import annotations

import json
import os
import socket
import time
from typing import TYPE_CHECKING, Any

from meshnet.cni.frame import FrameError, Reply, decode_reply, encode_request
from meshnet.errors import DaemonUnreachable, MeshnetError

if TYPE_CHECKING:
    from pathlib import Path

MAX_ANSWER = 256 * 1024 * 1024
"""Bytes; 1000 links with counters and addresses are about one megabyte."""


class QueryError(MeshnetError):
    """The daemon answered, but not what was asked: it says why."""


def ask(socket_path: str | Path, query: str, *, timeout_s: float = 3.0) -> Any:
    """Ask the daemon at `socket_path` for `query` (``links``, ``health``, …) and wait for its answer.

    Blocks for at most `timeout_s` seconds in all.

    Raises:
        DaemonUnreachable: nobody listens there, or no whole answer came in time; names path and reason.
        QueryError: the daemon's own words why not.
    """
    request = encode_request({"MESHNET_QUERY": query})
    try:
        reply = _exchange(os.fspath(socket_path), request, time.monotonic() + timeout_s)
        answer = json.loads(reply.body or b"null") if reply.code == 0 else None
    except TimeoutError:
        raise DaemonUnreachable(f"daemon at {socket_path}: no answer to {query!r} within {timeout_s:g} s") from None
    except OSError as error:
        raise DaemonUnreachable(f"daemon at {socket_path}: {error.strerror or error}") from None
    except (FrameError, ValueError, RecursionError) as error:
        raise DaemonUnreachable(f"daemon at {socket_path}: its answer to {query!r} is not whole: {error}") from None
    if reply.code:
        raise QueryError(f"daemon at {socket_path}: {_reason(query, reply.body)}")
    return answer


def listens(socket_path: str | Path) -> bool:
    """Tell whether a daemon takes connections at `socket_path`."""
    try:
        with socket.socket(socket.AF_UNIX) as conn:
            conn.settimeout(1.0)
            conn.connect(os.fspath(socket_path))
    except OSError:
        return False
    return True


def _exchange(path: str, request: bytes, deadline: float) -> Reply:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as conn:
        _connect(conn, path, deadline)
        conn.settimeout(_left_s(deadline))
        conn.sendall(request)
        data = bytearray()
        conn.settimeout(_left_s(deadline))
        while piece := conn.recv(65536):
            data += piece
            if len(data) > MAX_ANSWER:
                raise FrameError(f"more than {MAX_ANSWER} bytes")
            conn.settimeout(_left_s(deadline))
    return decode_reply(bytes(data))


def _connect(conn: socket.socket, path: str, deadline: float) -> None:
    while True:
        conn.settimeout(_left_s(deadline))
        try:
            return conn.connect(path)
        except BlockingIOError:  # too many wait to be accepted; a socket with a time limit does not queue
            time.sleep(min(0.01, _left_s(deadline)))


def _left_s(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _reason(query: str, body: bytes) -> str:
    """The daemon's words: the `error` of its queries, which names the query; the `msg` of CNI; or the text itself."""
    text = body.decode(errors="replace").strip()
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        return f"{query}: {text or 'no reason given'}"
    given = answer if isinstance(answer, dict) else {}
    if isinstance(given.get("error"), str):
        return str(given["error"])
    if isinstance(given.get("msg"), str):
        text = given["msg"]
    return f"{query}: {text}"
