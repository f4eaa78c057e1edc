"""What pods' ends do themselves: no driver that carries frames in its own process could do it for them."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

from meshnet.errors import KernelError
from meshnet.netlink.features import WithoutFeatures

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from meshnet.model.topology import Endpoint
    from meshnet.netlink import Netlink

log = logging.getLogger(__name__)

UNTOLD = (
    *("tx-udp_tnl-segmentation", "tx-udp_tnl-csum-segmentation", "tx-gre-segmentation", "tx-gre-csum-segmentation"),
    *("tx-ipxip4-segmentation", "tx-ipxip6-segmentation", "tx-sctp-segmentation", "tx-checksum-sctp"),
)
"""Features of which AF_PACKET tells nothing: of a large frame, that it is inside of a tunnel; of a checksum, that it is
SCTP's."""
LARGE_UDP = "tx-udp-segmentation"
_NUMBER = re.compile(r"\d+")


class PlainEnds:
    """Has pods' ends do without such features.

    Args:
        release: of the kernel.
    """

    def __init__(self, release: str) -> None:
        self._without = WithoutFeatures(untold(release))

    def make(self, ends: Iterable[Endpoint], inside: Netlink) -> None:
        """Make ends in the pod that `inside` speaks to; what is refused is logged."""
        for end in ends:
            try:
                self._without.apply(inside.fileno(), end.interface)
            except KernelError as error:
                log.warning("%s: large frames of tunnels in the pod may be lost: %s", end, error)


def untold(release: str) -> Sequence[str]:
    """Return those features by the kernel's release: before Linux 6.2, AF_PACKET refuses large frames of UDP, too."""
    major, minor = map(int, _NUMBER.findall(release)[:2])
    return UNTOLD if (major, minor) >= (6, 2) else (*UNTOLD, LARGE_UDP)
