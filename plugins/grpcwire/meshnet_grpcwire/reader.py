"""Reads what a port's socket has into one message, many frames a system call.

One reader serves all wires of a process, since it keeps nothing from one batch to the next: its memory is the same for
one wire and for thousands.
"""

from __future__ import annotations

import ctypes
import mmap
import struct
from typing import TYPE_CHECKING, NamedTuple

from meshnet_grpcwire.batch import HEAD_BYTES, LARGEST_BATCH, LENGTH_BYTES, LONGEST, pack
from meshnet_grpcwire.libc import IoVec, MMsgHdr, receive_many
from meshnet_grpcwire.virtio import HEADER, LONGEST_WHOLE, TAG_BYTES, behind_tag

if TYPE_CHECKING:
    from collections.abc import Sequence

SLOT = -(-(LONGEST + 1) // 64) * 64
"""Room for one frame, and for more than the longest: what was cut to fit is too long as well."""
SLOTS = LARGEST_BATCH // (LONGEST_WHOLE + HEADER.size + TAG_BYTES + LENGTH_BYTES)
"""Of usual frames so many fit into a batch in any case; memory that no longer one comes to is never touched."""
MOST_FRAMES = 256
_FEWEST = 2
"""Slots that one more call is made for. One is enough where a short batch has room for one more long frame."""

TP_STATUS_VLAN_VALID = 0x10
TP_STATUS_VLAN_TPID_VALID = 0x40
_TAG_802_1Q = 0x8100
_ADDRESSES = 12
# cmsghdr (length, level, type), then struct tpacket_auxdata (see man 7 packet): status first, VLAN tag at byte 16.
_CMSG_DATA = 16
_CONTROL = 40
_TAG = struct.Struct("=HH")
_TAG_OFFSET = _CMSG_DATA + 16


class Batch(NamedTuple):
    """What was read.

    Attributes:
        message: to send; empty when there was nothing, or nothing that can be sent.
        frames, size: in it, without offload headers; size in bytes.
        too_long: frames that were longer than any may be.
        drained: there was nothing more.
    """

    message: bytes
    frames: int
    size: int
    too_long: int
    drained: bool


class BatchReader:
    """Reads batches of up to 1 MiB. Not for two threads."""

    def __init__(self) -> None:
        self._memory = memoryview(mmap.mmap(-1, SLOT * SLOTS))
        self._slots = [self._memory[slot * SLOT : (slot + 1) * SLOT] for slot in range(SLOTS)]
        self._controls = bytearray(_CONTROL * SLOTS)
        self._vectors = (IoVec * SLOTS)()
        # Its own memory, so that one field of all of them can be read at once.
        memory_of_headers = bytearray(ctypes.sizeof(MMsgHdr) * SLOTS)
        self._headers = (MMsgHdr * SLOTS).from_buffer(memory_of_headers)
        memory = ctypes.addressof(ctypes.c_char.from_buffer(self._memory))
        controls = ctypes.addressof(ctypes.c_char.from_buffer(self._controls))
        for slot, (vector, entry) in enumerate(zip(self._vectors, self._headers, strict=True)):
            vector.base, vector.length = memory + slot * SLOT, SLOT
            entry.header.iov, entry.header.iovlen = ctypes.addressof(vector), 1
            entry.header.control, entry.header.controllen = controls + slot * _CONTROL, _CONTROL
        self._address = ctypes.addressof(self._headers)
        self._lengths = memoryview(memory_of_headers).cast("I")[
            MMsgHdr.length.offset // 4 :: ctypes.sizeof(MMsgHdr) // 4
        ]
        self._statuses = memoryview(self._controls).cast("I")[_CMSG_DATA // 4 :: _CONTROL // 4]

    def read(self, fd: int, limit: int = LARGEST_BATCH, *, longest: int = LONGEST_WHOLE) -> Batch:
        """Read what is there, up to about `limit` bytes, without frames that are longer than `longest` bytes.

        Raises OSError: ENETDOWN once after the port went down.
        """
        longest += HEADER.size
        lengths: list[int] = []
        parts: list[bytes | memoryview] = []
        too_long, size, drained, more = 0, 0, False, True
        room = max(1, min(SLOTS, limit // longest, _certain(0, 0, longest)))
        while more:
            try:
                count = receive_many(fd, self._address, room)
            except BlockingIOError:
                count = 0
            except OSError:
                if not lengths:
                    raise
                count = 0  # an error that was pending is gone now, and means nothing for what was read before
            drained = count < room
            got, pieces = self._taken(count, longest)
            too_long += count - len(got)
            size += sum(got)
            lengths += got
            room = _room(size, len(lengths), limit, longest)
            more = not drained and room > 0 and len(lengths) + too_long < MOST_FRAMES
            if more:
                parts.append(b"".join(pieces))  # the slots are used again
            else:
                parts += pieces
        message = pack(lengths, parts) if lengths else b""
        return Batch(message, len(lengths), size - HEADER.size * len(lengths), too_long, drained)

    def _taken(self, count: int, longest: int) -> tuple[list[int], list[bytes | memoryview]]:
        """Return the lengths of the frames in the first slots, and their bytes in order."""
        if not count:
            return [], []
        lengths: list[int] = self._lengths[:count].tolist()
        pieces: list[bytes | memoryview] = [slot[:length] for slot, length in zip(self._slots, lengths, strict=False)]
        statuses: Sequence[int] = self._statuses[:count].tolist()
        if any(status & TP_STATUS_VLAN_VALID for status in statuses) or max(lengths) > longest:
            return self._one_by_one(lengths, statuses, longest)
        return lengths, pieces

    def _one_by_one(
        self, lengths: Sequence[int], statuses: Sequence[int], longest: int
    ) -> tuple[list[int], list[bytes | memoryview]]:
        """As `_taken`, with the VLAN tags that the kernel took out put back, and without frames that are too long."""
        kept: list[int] = []
        pieces: list[bytes | memoryview] = []
        for number, (length, status) in enumerate(zip(lengths, statuses, strict=True)):
            slot, tagged = self._slots[number], status & TP_STATUS_VLAN_VALID
            whole = length + TAG_BYTES if tagged else length
            if whole > longest:
                continue
            kept.append(whole)
            if not tagged:
                pieces.append(slot[:length])
                continue
            tag, protocol = _TAG.unpack_from(self._controls, number * _CONTROL + _TAG_OFFSET)
            if not status & TP_STATUS_VLAN_TPID_VALID:
                protocol = _TAG_802_1Q
            addresses = HEADER.size + _ADDRESSES
            pieces.append(behind_tag(bytes(slot[: HEADER.size])))
            pieces.append(slot[HEADER.size : addresses])
            pieces.append(struct.pack("!HH", protocol, tag))
            pieces.append(slot[addresses:length])
        return kept, pieces


def _room(size: int, frames: int, limit: int, longest: int) -> int:
    """Return how many slots to read next: so that `limit` is met if frames go on as before, and a batch in any case.

    0 when that is not worth a call.
    """
    likely = (limit - size) * frames // max(size, 1)
    room = min(SLOTS, likely, _certain(size, frames, longest))
    return room if room >= _FEWEST or (room == likely and size < limit * 3 // 4) else 0


def _certain(size: int, frames: int, longest: int) -> int:
    """Return how many frames, be they as long as they may be, fit into a batch that has that many already."""
    room = LARGEST_BATCH - HEAD_BYTES - LENGTH_BYTES * frames - size
    return room // (longest + TAG_BYTES + LENGTH_BYTES)
