"""Carrying frames: from a port's socket into a stream, and from a stream to the socket."""

from __future__ import annotations

import asyncio
import errno
from typing import TYPE_CHECKING

import attrs

from meshnet_grpcwire.batch import MessageError, parse
from meshnet_grpcwire.pace import gathering
from meshnet_grpcwire.reader import BatchReader
from meshnet_grpcwire.share import Share
from meshnet_grpcwire.turns import LARGE, Turns
from meshnet_grpcwire.writer import FrameWriter, Sending

if TYPE_CHECKING:
    from meshnet.driver import Stream
    from meshnet_grpcwire.counters import Counters
    from meshnet_grpcwire.port_socket import PortSocket
    from meshnet_grpcwire.segment import Limits

END_S = 2.0
"""A stream that does not let go of a call when it is cancelled is not waited for longer."""


@attrs.frozen
class Pumps:
    """What moves the frames of every wire of a process; one go of each a turn of the event loop: none starves."""

    reader: BatchReader = attrs.field(factory=BatchReader)
    writer: FrameWriter = attrs.field(factory=FrameWriter)
    share: Share = attrs.field(factory=Share)
    turns: Turns = attrs.field(factory=Turns)

    async def carry(self, port: PortSocket, stream: Stream, counters: Counters, limits: Limits) -> None:
        """Carry frames both ways until the stream ends. Raises StreamEnded, MessageError, OSError."""
        tasks = [
            asyncio.ensure_future(self._outward(port, stream, counters, limits)),
            asyncio.ensure_future(self._inward(port, stream, counters, limits)),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=END_S)
        for task in tasks:
            if task.done() and not task.cancelled():
                task.result()

    async def _outward(self, port: PortSocket, stream: Stream, counters: Counters, limits: Limits) -> None:
        """From port to stream. While the stream does not take a batch, frames wait in the socket, or are dropped."""
        wire, large = port.fileno(), False
        while True:
            if large:
                await self.turns.take()
            try:
                size = self.share.size(wire, limits.longest)
                batch = self.reader.read(wire, size, longest=limits.longest)
            except OSError as error:
                self._unread(error, counters)
                await asyncio.sleep(0)
                continue
            counters.sent_dropped_too_long += batch.too_long
            large = len(batch.message) >= LARGE
            if batch.message:
                # What was read goes at once: to wait for more would only add to its way.
                with self.share.taken(wire, len(batch.message)):
                    await stream.write(batch.message)
                counters.sent_frames += batch.frames
                counters.sent_bytes += batch.size
            if batch.drained:
                if wait := gathering(batch):
                    await asyncio.sleep(wait)
                await port.readable()
            else:
                await asyncio.sleep(0)

    async def _inward(self, port: PortSocket, stream: Stream, counters: Counters, limits: Limits) -> None:
        """From stream to port. The next message is not asked for before this one is written."""
        while True:
            message = await stream.read()
            try:
                sending = Sending(parse(message), offload=limits.offload)
            except MessageError:
                counters.bad_messages += 1
                raise
            large = len(message) >= LARGE
            while not sending.done:
                if large:
                    await self.turns.take()
                self.writer.write(port.fileno(), message, sending, counters)
                await asyncio.sleep(0)

    def _unread(self, error: OSError, counters: Counters) -> None:
        """Go on after an error that concerns the past or one frame. Raises what ends the wire."""
        if error.errno == errno.EINVAL:  # the kernel cannot put what is left to do into a header
            counters.sent_dropped_unknown += 1
        elif error.errno != errno.ENETDOWN:  # that is told once, when core takes the port down
            raise error
