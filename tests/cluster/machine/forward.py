"""TCP connections carried from a socket of one network namespace to a port of another: this process's own."""

from __future__ import annotations

import asyncio
import socket
import struct

_CHUNK = 1 << 16
_RESET = struct.pack("ii", 1, 0)


async def serve(listener: int, port: int) -> asyncio.Server:
    """Carry every connection of a listening socket, whatever namespace that is of, to 127.0.0.1:`port` here.

    A connection that cannot be carried on is reset, as a client of a server that is away would see it.
    """

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            _reset(writer)
            return
        await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
        far_writer.close()
        writer.close()

    return await asyncio.start_server(carry, sock=socket.socket(fileno=listener))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Carry one direction until its end, and end the other side's."""
    try:
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except OSError:
        _reset(writer)


def _reset(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
