"""How long a frame of TCP over IPv4 may be on a link with offload, for the kernel to cut where it must (BIG TCP)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshnet.driver.api import Port, Socket
from meshnet.driver.link import GSO_IPV4_LARGEST, GSO_LEGACY_MAX_SIZE

if TYPE_CHECKING:
    from meshnet.driver.api import Splice


def gso_ipv4_max_size(splice: Splice, *, offload: bool) -> int:
    """Return what a port that is spliced so, and its pod's end, should have, bytes.

    A device of a driver's is told nothing of it: what is too long there the kernel cuts into frames of MTU size.
    """
    if offload and isinstance(splice, Port):
        return GSO_IPV4_LARGEST
    if offload and isinstance(splice, Socket):
        return splice.gso_ipv4_max_size
    return GSO_LEGACY_MAX_SIZE
