"""The lab's own socket: one request, one answer a connection; before that, signs of life when it takes long."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import struct
from typing import TYPE_CHECKING

from meshnet.errors import MeshnetError
from meshnet.lab.channel import AT_WORK, encode
from meshnet.lab.places import CONTROL_SOCKET
from meshnet.lab.reply import Reply

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from meshnet.lab.verbs import Verbs

LARGEST_REQUEST = 1 << 16
REQUEST_TIMEOUT_S = 10.0
SIGN_OF_LIFE_S = 10.0
MOST_CONNECTIONS = 1024
ACCEPT_AGAIN_S = 0.2
_CREDENTIALS = struct.Struct("=iII")


class LabServer:
    """Listens on the lab's socket; nobody but the box's root is answered."""

    def __init__(self, verbs: Verbs) -> None:
        self._verbs = verbs
        self._connections: set[asyncio.Task[None]] = set()

    async def serve(self) -> None:
        """Answer for ever."""
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as listener:
            listener.bind(str(CONTROL_SOCKET))
            CONTROL_SOCKET.chmod(0o600)
            listener.listen(MOST_CONNECTIONS)
            while True:
                try:
                    connection, _ = await loop.sock_accept(listener)
                except OSError:
                    await asyncio.sleep(ACCEPT_AGAIN_S)  # no descriptors left: those that are open will be closed
                    continue
                if len(self._connections) >= MOST_CONNECTIONS:
                    connection.close()
                    continue
                task = loop.create_task(self._answer(connection))
                self._connections.add(task)
                task.add_done_callback(self._connections.discard)

    async def _answer(self, connection: socket.socket) -> None:
        with connection:
            try:
                reply = await self._reply(connection)
            except MeshnetError as error:
                reply = Reply.refusal(error)
            except Exception as error:  # noqa: BLE001 - a bug in one request must not end the lab
                reply = Reply({"error": f"bug in the lab: {error!r}"})
            try:
                await _send(connection, reply)
            except (OSError, TimeoutError):
                pass  # whoever asked has gone
            finally:
                for fd in reply.descriptors:
                    os.close(fd)

    async def _reply(self, connection: socket.socket) -> Reply:
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        _, uid, _ = _CREDENTIALS.unpack(credentials)
        if uid != 0:
            raise MeshnetError(f"lab: uid {uid} may not ask; only the lab's own user")
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                request = json.loads(await _line(connection))
        except (ValueError, RecursionError, OSError, TimeoutError) as error:
            raise MeshnetError(f"lab: the request is no line of JSON: {error}") from error
        if not isinstance(request, dict) or not all(isinstance(value, str | None) for value in request.values()):
            raise MeshnetError("lab: the request is no JSON object of strings")
        return await _at_work(connection, self._verbs.run(request))


async def _at_work(connection: socket.socket, work: Awaitable[Reply]) -> Reply:
    """Return what `work` does, however long that takes; who waits for it is told now and then that it goes on."""
    task = asyncio.ensure_future(work)
    while not (await asyncio.wait({task}, timeout=SIGN_OF_LIFE_S))[0]:
        with contextlib.suppress(OSError, TimeoutError):
            await _send(connection, Reply(AT_WORK))
    return task.result()


async def _line(connection: socket.socket) -> bytes:
    loop = asyncio.get_running_loop()
    data = bytearray()
    while b"\n" not in data:
        chunk = await loop.sock_recv(connection, LARGEST_REQUEST)
        data += chunk
        if not chunk or len(data) > LARGEST_REQUEST:
            break
    return bytes(data)


async def _send(connection: socket.socket, reply: Reply) -> None:
    data = encode(reply.document)
    sent = 0
    if reply.descriptors:
        # the first bytes on a fresh connection always find room
        with contextlib.suppress(BlockingIOError):
            sent = socket.send_fds(connection, [data], reply.descriptors)
    async with asyncio.timeout(REQUEST_TIMEOUT_S):
        await asyncio.get_running_loop().sock_sendall(connection, data[sent:])
