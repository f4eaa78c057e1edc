"""A message of a wire's stream: many frames as they came from the port.

::

    u8 version = 1 · 3 bytes zero · u32 n · n x u32 length · n frames                            little endian

Each length counts a frame with the 10 bytes of its virtio_net_hdr (`virtio`) before it. VLAN tags are in the frame. A
message has 1 to 4096 frames and a length of up to 4 MiB; what we send has up to 1 MiB, beyond which memory is touched
faster than it helps.
"""

from __future__ import annotations

import struct
from itertools import accumulate
from typing import TYPE_CHECKING, Final, NamedTuple

from meshnet.errors import MeshnetError
from meshnet_grpcwire.virtio import HEADER, LONGEST_FRAME, SHORTEST_FRAME

if TYPE_CHECKING:
    from collections.abc import Sequence

VERSION = 1
LARGEST_BATCH = 1 << 20
LARGEST_MESSAGE = 4 << 20
MOST_FRAMES = 4096
LENGTH_BYTES = 4

_HEAD: Final = struct.Struct("<B3xI")
HEAD_BYTES = _HEAD.size
SHORTEST: Final = SHORTEST_FRAME + HEADER.size
LONGEST: Final = LONGEST_FRAME + HEADER.size
"""Of a frame with its header. A message with a longer one is none: whoever makes one leaves those out."""


class MessageError(MeshnetError):
    """A message of the peer's that is none: what is wrong with it."""


class Frames(NamedTuple):
    """Where the frames of a message are: offsets and lengths in bytes, each with its virtio header."""

    offsets: Sequence[int]
    lengths: Sequence[int]


def pack(lengths: Sequence[int], parts: Sequence[bytes | memoryview]) -> bytes:
    """Return a message of frames of these lengths, whose bytes are those of `parts`, in order."""
    return b"".join([_HEAD.pack(VERSION, len(lengths)), struct.pack(f"<{len(lengths)}I", *lengths), *parts])


def parse(message: bytes) -> Frames:
    """Return where the frames of a peer's message are: inside it, one after the other. Raises MessageError."""
    if not HEAD_BYTES <= len(message) <= LARGEST_MESSAGE:
        raise MessageError(f"a message of {len(message)} bytes; right would be {HEAD_BYTES} to {LARGEST_MESSAGE}")
    version, count = _HEAD.unpack_from(message)
    if version != VERSION:
        raise MessageError(f"a message of version {version}; right would be {VERSION}")
    if not 1 <= count <= MOST_FRAMES:
        raise MessageError(f"a message of {count} frames; right would be 1 to {MOST_FRAMES}")
    first = HEAD_BYTES + LENGTH_BYTES * count
    if first > len(message):
        raise MessageError(f"a message of {len(message)} bytes for {count} frames")
    lengths = struct.unpack_from(f"<{count}I", message, HEAD_BYTES)
    if min(lengths) < SHORTEST or max(lengths) > LONGEST:
        raise MessageError(f"frames of {min(lengths)} to {max(lengths)} bytes; right would be {SHORTEST} to {LONGEST}")
    offsets = list(accumulate(lengths, initial=first))
    end = offsets.pop()
    if end != len(message):
        raise MessageError(f"frames that end at byte {end} of {len(message)}")
    return Frames(offsets, lengths)
