"""How long a TCP frame a pod may send for somebody else to cut: what the driver beyond its port takes, with `offload`.

Longer frames than usual spare the pod, the kernel and the driver most of their work. A pod whose namespace cannot be
entered keeps what it has: where the kernel carries its frames that is slower and no less right.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from meshnet.driver.api import Socket
from meshnet.driver.link import GSO_LEGACY_MAX_SIZE
from meshnet.errors import RestartPod
from meshnet.netlink import links
from meshnet.reconcile.inside import entered

if TYPE_CHECKING:
    from meshnet.driver.api import Splice
    from meshnet.netlink import Netlink
    from meshnet.panel.port import PanelPort
    from meshnet.panel.splice import Splicer
    from meshnet.reconcile.state import End

log = logging.getLogger(__name__)


class Segmenter:
    """Sets the `gso_ipv4_max_size` of ports and of the pods' ends, and only when it changes."""

    def __init__(self, netlink: Netlink, splicer: Splicer) -> None:
        self._netlink = netlink
        self._splicer = splicer

    def fit(self, end: End, port: PanelPort, splice: Splice, *, offload: bool) -> None:
        """Have frames of that port no longer than `splice` takes them, and as long.

        Raises RestartPod when they would be too long for a driver and the pod cannot be told; KernelError.
        """
        size = splice.gso_ipv4_max_size if offload and isinstance(splice, Socket) else GSO_LEGACY_MAX_SIZE
        if port.gso_ipv4_max_size == size:
            return
        try:
            with entered(self._netlink, end) as inside:
                inside.netlink.run([links.set_link(port.pod_ifindex, gso_ipv4_max_size=size)])
        except RestartPod as error:
            if size < port.gso_ipv4_max_size:
                if isinstance(splice, Socket):
                    raise
                return
            log.info("%s: the pod sends no longer frames than before: %s", end.endpoint, error)
        self._splicer.set_gso_ipv4_max_size(port, size)
