"""Has a pod's TCP make frames as long as what its port is spliced to takes them: `panel.segment`.

A port takes frames that are as long as those of its pod at least, so what it has tells of the pod, after a restart too.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from meshnet.driver.api import Socket
from meshnet.driver.link import GSO_LEGACY_MAX_SIZE
from meshnet.errors import KernelError, RestartPod
from meshnet.netlink import links
from meshnet.panel.read import read_link
from meshnet.panel.segment import gso_ipv4_max_size
from meshnet.reconcile.inside import entered

if TYPE_CHECKING:
    from meshnet.driver.api import Splice
    from meshnet.netlink import Netlink
    from meshnet.panel.port import PanelPort
    from meshnet.panel.splice import Splicer
    from meshnet.reconcile.end import End

log = logging.getLogger(__name__)


class Segmenter:
    """Sets the `gso_ipv4_max_size` of ports and of pods' ends, and nothing where it is the usual one and stays so.

    Args:
        netlink, splicer: of the node.
        reenters: this daemon may enter a pod again. Else no pod gets what could not be taken from it.
    """

    def __init__(self, netlink: Netlink, splicer: Splicer, *, reenters: bool) -> None:
        self._netlink = netlink
        self._splicer = splicer
        self._reenters = reenters

    def fit(self, end: End, port: PanelPort, splice: Splice, *, offload: bool) -> None:
        """Have the frames of a port's pod as long as `splice` takes them, and no longer.

        Raises RestartPod when they would be too long for a driver and the pod cannot be told, KernelError. That they
        stay shorter is no error.
        """
        size = gso_ipv4_max_size(splice, offload=offload)
        if size == port.gso_ipv4_max_size == GSO_LEGACY_MAX_SIZE:
            return
        pod_end = read_link(self._netlink, port.pod_ifindex, port.nsid)
        if pod_end is None or not pod_end.gso_ipv4_max_size:
            return  # it went, or the kernel is older than this
        if pod_end.gso_ipv4_max_size > size:
            self._lower(end, port, size, needed=isinstance(splice, Socket))
        else:
            self._raise(end, port, size, told=pod_end.gso_ipv4_max_size != GSO_LEGACY_MAX_SIZE)

    def _lower(self, end: End, port: PanelPort, size: int, *, needed: bool) -> None:
        """First the pod, then the port. Where it is not `needed`, the kernel cuts what the pod goes on sending."""
        try:
            self._tell_pod(end, port, size)
        except RestartPod:
            if needed:
                raise
            return
        self._splicer.set_gso_ipv4_max_size(port, size)

    def _raise(self, end: End, port: PanelPort, size: int, *, told: bool) -> None:
        """First the port, then the pod, unless that has been `told`, by its owner maybe."""
        try:
            if port.gso_ipv4_max_size != size:
                self._splicer.set_gso_ipv4_max_size(port, size)
            if self._reenters and not told and size > GSO_LEGACY_MAX_SIZE:
                self._tell_pod(end, port, size)
        except (KernelError, RestartPod) as error:
            log.info("%s: its pod sends no longer frames than before: %s", end.endpoint, error)

    def _tell_pod(self, end: End, port: PanelPort, size: int) -> None:
        with entered(self._netlink, end) as inside:
            inside.netlink.run([links.set_link(port.pod_ifindex, gso_ipv4_max_size=size)])
