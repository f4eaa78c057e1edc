"""Splitting what the kernel sends, and its errors."""

from __future__ import annotations

import errno
import struct

from hypothesis import given
from hypothesis import strategies as st

from meshnet.netlink.messages import Message, failure, split
from meshnet.netlink.wire import HEADER, NLM_F_ACK_TLVS, NLMSG_DONE, NLMSG_ERROR, string


def packed(kind: int, flags: int, sequence: int, payload: bytes) -> bytes:
    length = HEADER.size + len(payload)
    return HEADER.pack(length, kind, flags, sequence, 0) + payload + bytes(-length & 3)


def test_messages_of_one_datagram() -> None:
    data = packed(16, 2, 7, b"abc") + packed(3, 2, 7, b"")

    assert list(split(data)) == [Message(16, 2, 7, b"abc"), Message(3, 2, 7, b"")]


@given(st.binary(max_size=300))
def test_garbage_ends(data: bytes) -> None:
    assert len(list(split(data))) <= len(data) // HEADER.size


def test_acknowledgement_is_no_failure() -> None:
    assert failure(Message(NLMSG_ERROR, 0, 1, bytes(20)), "do it") is None
    assert failure(Message(NLMSG_DONE, 0, 1, b""), "do it") is None


def test_failure_with_the_kernels_explanation() -> None:
    explanation = string(1, "mtu less than device minimum")
    for kind, between in ((NLMSG_ERROR, bytes(16)), (NLMSG_DONE, b"")):
        payload = struct.pack("=i", -errno.EINVAL) + between + explanation
        error = failure(Message(kind, NLM_F_ACK_TLVS, 1, payload), "set link 7")

        assert error is not None
        assert error.errno == errno.EINVAL
        assert str(error) == "set link 7: Invalid argument (EINVAL): mtu less than device minimum"


def test_failure_without_one() -> None:
    error = failure(Message(NLMSG_ERROR, 0, 1, struct.pack("=i", -errno.ENODEV) + bytes(16)), "set link 7")

    assert error is not None
    assert (error.errno, error.detail) == (errno.ENODEV, "")
