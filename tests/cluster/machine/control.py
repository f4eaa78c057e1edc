"""The socket by which a machine's first process is told what to do with a daemon, from outside of its namespaces."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import TYPE_CHECKING

from tests.cluster.machine.errors import ClusterError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cluster.machine.supervisor import Supervisor

_ASK_S = 30.0


async def serve(path: Path, supervisor: Supervisor) -> asyncio.Server:
    """Answer requests, one a connection: a line of JSON each way."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        what, name = json.loads(await reader.readline())
        try:
            reply = {"pid": supervisor.request(what, name)}
        except ClusterError as error:
            reply = {"error": str(error)}
        writer.write(json.dumps(reply).encode() + b"\n")
        writer.close()

    path.unlink(missing_ok=True)
    return await asyncio.start_unix_server(answer, path)


def ask(path: Path, what: str, name: str) -> str:
    """Send a request to a machine and return the daemon's process id in it, or "".

    Raises:
        ClusterError: the machine is off, or refuses.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_ASK_S)
        try:
            connection.connect(str(path))
            connection.sendall(json.dumps([what, name]).encode() + b"\n")
            with connection.makefile() as replies:
                reply = json.loads(replies.readline())
        except (OSError, ValueError) as error:
            raise ClusterError(f"{path}: {what} {name}: {error}") from error
    if "error" in reply:
        raise ClusterError(f"{path}: {what} {name}: {reply['error']}")
    return str(reply["pid"])
