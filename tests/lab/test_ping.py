"""Which addresses of two ends can reach each other, and the checksum of what is sent."""

from __future__ import annotations

import pytest

from meshnet.lab.ping import checksum
from meshnet.lab.survey import reachable


def test_checksum_of_rfc_1071():
    assert checksum(bytes.fromhex("0001f203f4f5f6f7")) == ~0xDDF2 & 0xFFFF


def test_checksum_makes_the_sum_zero():
    data = bytes(range(64))
    assert checksum(data + checksum(data).to_bytes(2, "big")) == 0


@pytest.mark.parametrize(
    ("own", "others", "pairs"),
    [
        (["10.0.0.1/24"], ["10.0.0.2/24"], [("10.0.0.1", "10.0.0.2")]),
        (["10.0.0.1/24"], ["10.0.1.2/24"], []),
        (["10.0.0.1/24", "fd00::1/64"], ["fd00::2/64"], [("fd00::1", "fd00::2")]),
        (["10.0.0.1/24"], ["10.0.0.1/24"], []),
        ([], ["10.0.0.1/24"], []),
    ],
)
def test_addresses_of_one_subnet_and_family_reach_each_other(own, others, pairs):
    assert list(reachable(own, others)) == pairs
