"""Questions to node daemons over their local sockets: all nodes at once, a bounded time."""

from __future__ import annotations

import asyncio
import json
import struct
from typing import TYPE_CHECKING, Any

from meshnet.errors import DaemonUnreachable, MeshnetError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

TIMEOUT_S = 3.0
LARGEST_ANSWER = 64 << 20
"""Bytes; a node of some thousand links answers a few megabytes."""

_HEAD = struct.Struct("<BII")
_VERSION = 1


async def ask(socket: Path, query: str, timeout_s: float = TIMEOUT_S) -> dict[str, Any]:
    """Return one daemon's answer to a query. Raises DaemonUnreachable, or MeshnetError with what it complains of."""
    try:
        async with asyncio.timeout(timeout_s):
            answer = await _exchange(socket, query)
    except (OSError, asyncio.IncompleteReadError) as error:
        reason = "no answer within the time" if isinstance(error, TimeoutError) else error
        raise DaemonUnreachable(f"daemon at {socket}: query {query}: {reason}") from error
    if answer[:1] != b"0":
        raise MeshnetError(f"daemon at {socket}: query {query}: {answer[1:].decode(errors='replace').strip()}")
    try:
        found: dict[str, Any] = json.loads(answer[1:])
    except ValueError as error:
        raise DaemonUnreachable(f"daemon at {socket}: query {query}: the answer is not JSON") from error
    return found


async def _exchange(socket: Path, query: str) -> bytes:
    reader, writer = await asyncio.open_unix_connection(socket)
    try:
        env = f"MESHNET_QUERY={query}\0".encode()
        writer.write(_HEAD.pack(_VERSION, len(env), len(env)) + env)
        await writer.drain()
        answer = bytearray()
        while chunk := await reader.read(1 << 16):
            answer += chunk
            if len(answer) > LARGEST_ANSWER:
                raise DaemonUnreachable(f"daemon at {socket}: query {query}: more than {LARGEST_ANSWER} bytes")
        return bytes(answer)
    finally:
        writer.close()


async def ask_all(sockets: Iterable[Path], query: str) -> dict[str, dict[str, Any]]:
    """Return the answers of all daemons that could be reached, by the name of their node."""
    asked = await asyncio.gather(*(ask(socket, query) for socket in sockets), return_exceptions=True)
    answers: dict[str, dict[str, Any]] = {}
    for answer in asked:
        if isinstance(answer, dict):
            answers[str(answer["node"])] = answer
        elif not isinstance(answer, DaemonUnreachable):
            raise answer
    return answers


def rows(answers: Mapping[str, Mapping[str, Any]], field: str) -> dict[str, list[dict[str, Any]]]:
    """Return by node the list `field` of each answer."""
    return {node: list(answer[field]) for node, answer in answers.items()}
