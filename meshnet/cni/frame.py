"""The format of the local socket, without any socket: requests in one frame, replies up to the end of the stream.

A request is ``u8 version · u32 total · u32 envlen · env · body``, little endian, ``total`` = ``envlen`` + length of the
body; env is NUL-terminated ``NAME=VALUE``. A reply is one byte, ``'0'`` or ``'1'``, and what to print.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshnet.errors import MeshnetError

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION = 1
MAX_ENV = 64 * 1024
MAX_REPLY = 2 * 1024 * 1024
"""Bytes that the plugin prints, with the code before them."""
MAX_TOTAL = 2 * MAX_REPLY
"""Bytes of environment and body together: a runtime gives DEL and CHECK what ADD answered, in its configuration."""

_HEADER = struct.Struct("<BII")


class FrameError(MeshnetError):
    """What was received is not a frame; nothing after it on this connection can be understood."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A request as received: the caller's `CNI_*` or `MESHNET_QUERY` variables, and its standard input."""

    env: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer as received: `code` is the exit code, `body` what to print."""

    code: int
    body: bytes


class FrameDecoder:
    """Collects one request from pieces of any size."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, piece: bytes) -> Frame | None:
        """Add `piece`; the frame when it is complete, None while more is to come.

        Raises:
            FrameError: as soon as the version, a length, the environment or anything after the frame is wrong; what
                is kept never grows past the bounds.
        """
        self._data += piece
        if self._data and self._data[0] != VERSION:
            raise FrameError(f"frame: version {self._data[0]}: this daemon speaks version {VERSION}")
        if len(self._data) < _HEADER.size:
            return None
        total, envlen = self._lengths()
        missing = _HEADER.size + total - len(self._data)
        if missing < 0:
            raise FrameError(f"frame: {-missing} bytes follow its end: one request a connection")
        if missing:
            return None
        env_end = _HEADER.size + envlen
        return Frame(_decode_env(bytes(self._data[_HEADER.size : env_end])), bytes(self._data[env_end:]))

    def _lengths(self) -> tuple[int, int]:
        _, total, envlen = _HEADER.unpack_from(self._data)
        if total > MAX_TOTAL:
            raise FrameError(f"frame: total {total}: at most {MAX_TOTAL} bytes")
        if envlen > min(total, MAX_ENV):
            raise FrameError(f"frame: envlen {envlen}: at most {MAX_ENV} bytes and at most the total {total}")
        return total, envlen


def encode_request(env: Mapping[str, str], body: bytes = b"") -> bytes:
    """A whole request.

    Raises:
        FrameError: if it is larger than a daemon accepts, or a variable cannot be written as ``NAME=VALUE``.
    """
    entries = bytearray()
    for name, value in env.items():
        if not name or "=" in name or "\0" in name + value:
            raise FrameError(f"frame: environment variable {name!r}: no NUL, and no '=' in its name")
        entries += os.fsencode(f"{name}={value}") + b"\0"
    total = len(entries) + len(body)
    if len(entries) > MAX_ENV or total > MAX_TOTAL:
        raise FrameError(f"frame: {len(entries)} of {total} bytes are environment: at most {MAX_ENV} of {MAX_TOTAL}")
    return _HEADER.pack(VERSION, total, len(entries)) + bytes(entries) + body


def encode_reply(code: int, body: bytes | str = b"") -> bytes:
    """A whole reply: exit `code` 0 or 1 (anything else counts as 1), and what to print."""
    return (b"1" if code else b"0") + (body.encode() if isinstance(body, str) else body)


def decode_reply(data: bytes) -> Reply:
    """The reply in everything that was received until the connection closed.

    Raises:
        FrameError: if it is empty or begins with something else than an exit code.
    """
    if data[:1] not in (b"0", b"1"):
        raise FrameError(f"reply: begins with {data[:1]!r}: '0' or '1' and what to print")
    return Reply(data[0] - ord("0"), data[1:])


def _decode_env(data: bytes) -> dict[str, str]:
    if data and not data.endswith(b"\0"):
        raise FrameError("frame: the last environment variable has no end: each is NUL-terminated")
    env: dict[str, str] = {}
    for entry in data.split(b"\0")[:-1]:
        name, equals, value = entry.partition(b"=")
        if not name or not equals:
            raise FrameError(f"frame: environment variable {entry[:40]!r}: NAME=VALUE")
        env.setdefault(os.fsdecode(name), os.fsdecode(value))  # of two the first counts, as getenv has it
    return env
