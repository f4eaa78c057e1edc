"""Writes the frames of a peer's message to a port's socket, many a system call and without a copy of them.

One writer serves all wires of a process: it keeps nothing from one call to the next.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from typing import TYPE_CHECKING

import attrs

from meshnet_grpcwire.cut import cut
from meshnet_grpcwire.libc import IoVec, MMsgHdr, send_many
from meshnet_grpcwire.virtio import HEADER, LONGEST_FRAME, LONGEST_WHOLE, HeaderRules

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshnet_grpcwire.batch import Frames
    from meshnet_grpcwire.counters import Counters

MOST_FRAMES = 256
MOST_BYTES = 2 * (LONGEST_FRAME + HEADER.size)
"""So much is written in one go at most."""
MOST_HONEST_BYTES = 2 * (LONGEST_WHOLE + HEADER.size)
"""So much for a port that keeps frames honest: the kernel cuts and sums up each of them."""


@attrs.define
class Sending:
    """A message on its way to a port: frames from `next` on are still to be written.

    Attributes:
        offload: the port hands the pod what it gets as it is, and cuts nothing.
    """

    frames: Frames
    offload: bool = False
    next: int = 0

    @property
    def done(self) -> bool:
        return self.next >= len(self.frames.lengths)


class FrameWriter:
    """Writes frames, those of a go at most. Not for two threads."""

    def __init__(self) -> None:
        self._rules = HeaderRules()
        self._headers = (MMsgHdr * MOST_FRAMES)()
        self._vectors = bytearray(ctypes.sizeof(IoVec) * MOST_FRAMES)
        first = ctypes.addressof(ctypes.c_char.from_buffer(self._vectors))
        for number, entry in enumerate(self._headers):
            entry.header.iov, entry.header.iovlen = first + number * ctypes.sizeof(IoVec), 1
        self._address = ctypes.addressof(self._headers)

    def write(self, fd: int, message: bytes, sending: Sending, counters: Counters) -> None:
        """Write the next frames of `message`, as many as one go may have; what cannot be written is counted."""
        chosen = self._choose(message, sending, counters)
        base = ctypes.cast(ctypes.c_char_p(message), ctypes.c_void_p).value or 0
        vectors = [number for offset, length in chosen for number in (base + offset, length)]
        struct.pack_into(f"@{2 * len(chosen)}N", self._vectors, 0, *vectors)
        at, again = 0, True
        while at < len(chosen):
            try:
                sent = send_many(fd, self._address + at * ctypes.sizeof(MMsgHdr), len(chosen) - at)
            except OSError as error:
                if error.errno != errno.ENETDOWN:
                    offset, length = chosen[at]
                    frame = memoryview(message)[offset : offset + length]
                    _write_in_parts(fd, frame, error, counters, offload=sending.offload)
                    at += 1
                elif again:  # a socket tells it once, maybe of a time that is over
                    again = False
                else:
                    counters.received_dropped_port_down += len(chosen) - at
                    return
                continue
            counters.received_frames += sent
            counters.received_bytes += sum(length for _, length in chosen[at : at + sent]) - HEADER.size * sent
            at += sent

    def _choose(self, message: bytes, sending: Sending, counters: Counters) -> list[tuple[int, int]]:
        """Return offset and length of the next frames whose headers are right, and count the others."""
        chosen: list[tuple[int, int]] = []
        size, most = 0, MOST_BYTES if sending.offload else MOST_HONEST_BYTES
        for offset, length in self._rest(sending):
            if chosen and size + length > most:
                break
            sending.next += 1
            if not self._rules.fits(message[offset : offset + HEADER.size], length - HEADER.size):
                counters.received_dropped_header += 1
                continue
            chosen.append((offset, length))
            size += length
        return chosen

    def _rest(self, sending: Sending) -> Iterator[tuple[int, int]]:
        frames, end = sending.frames, sending.next + MOST_FRAMES
        return zip(frames.offsets[sending.next : end], frames.lengths[sending.next : end], strict=True)


def _write_in_parts(fd: int, frame: memoryview, error: OSError, counters: Counters, *, offload: bool) -> None:
    """Write in parts a frame that was refused whole for its length; it counts as received when all of them went."""
    parts = cut(frame) if _lacks_room(error, frame, offload=offload) else []
    if not parts:
        counters.refused(error.errno)
        return
    try:
        for part in parts:
            os.writev(fd, part)
    except OSError as stopped:
        counters.refused(stopped.errno)
    else:
        counters.received_frames += 1
        counters.received_bytes += len(frame) - HEADER.size


def _lacks_room(error: OSError, frame: memoryview, *, offload: bool) -> bool:
    """Tell whether the kernel refused a frame since it is so long, before any of it went.

    ENOBUFS tells of fragmented memory, but of a full queue, too: a port without offload may have given the pod most of
    the frame's segments by then.
    """
    long = len(frame) > HEADER.size + LONGEST_WHOLE
    return long and (error.errno == errno.EMSGSIZE or (offload and error.errno == errno.ENOBUFS))
