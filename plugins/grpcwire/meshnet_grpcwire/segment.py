"""How long the frames of TCP over IPv4 of a wire with offload may be: as long as both ends take them (BIG TCP).

A frame that is four times as long costs pod, kernel and daemon hardly more. Each node tells in its offer how long a
frame it takes; who tells nothing takes what is usual. Of IPv6 the kernel sends no such frame for a packet socket: it
takes the header out that has its length.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

import attrs

from meshnet.driver import GSO_IPV4_LARGEST, GSO_LEGACY_MAX_SIZE
from meshnet_grpcwire.virtio import LONGEST_WHOLE, TAG_BYTES

if TYPE_CHECKING:
    from collections.abc import Mapping

OFFER = "gso_ipv4_max_size"
_SINCE = (6, 6)
"""Before this version of Linux a packet socket sends nothing that does not fit into seventeen pages."""


def largest_here(release: str | None = None) -> int:
    """Return the `gso_ipv4_max_size` that a port of this node can have at most, bytes, by the kernel's version."""
    version = re.match(r"(\d+)\.(\d+)", os.uname().release if release is None else release)
    new = version is not None and (int(version[1]), int(version[2])) >= _SINCE
    return GSO_IPV4_LARGEST if new else GSO_LEGACY_MAX_SIZE


def agreed(here: int, peer_offer: Mapping[str, Any]) -> int:
    """Return the `gso_ipv4_max_size` of a wire between a node that takes `here` and one that offers this."""
    there = peer_offer.get(OFFER)
    return min(here, there) if type(there) is int and there > GSO_LEGACY_MAX_SIZE else GSO_LEGACY_MAX_SIZE


def longest_frame(gso_ipv4_max_size: int) -> int:
    """Return how long a frame of a wire of that `gso_ipv4_max_size` is at most, bytes."""
    return max(LONGEST_WHOLE, gso_ipv4_max_size + 2 * TAG_BYTES)


@attrs.define
class Limits:
    """What a wire takes at the time.

    Attributes:
        longest: frames of its pod that are longer are not for the peer, bytes.
        offload: its port hands the pod what it gets as it is, and cuts nothing.
    """

    longest: int = LONGEST_WHOLE
    offload: bool = False

    def change(self, gso_ipv4_max_size: int, *, offload: bool) -> None:
        """Take what both ends agree on.

        Without offload frames are usual ones, but for those that are under way still when it is taken off.
        """
        agreed_on = longest_frame(gso_ipv4_max_size)
        self.longest = agreed_on if offload else min(self.longest, agreed_on)
        self.offload = offload
