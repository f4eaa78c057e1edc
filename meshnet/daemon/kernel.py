"""The daemon's doors to its node's kernel."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from meshnet.daemon.underlay import find_underlay
from meshnet.netlink import Netlink, bpf
from meshnet.netlink.ethtool import Ethtool
from meshnet.netlink.events import LinkMonitor
from meshnet.netlink.netns import number_own
from meshnet.panel.delete import Deleter
from meshnet.panel.indices import Indices
from meshnet.panel.make import PortMaker
from meshnet.panel.read import read_newborn, read_ports
from meshnet.panel.splice import Splicer

if TYPE_CHECKING:
    from meshnet.daemon.settings import Settings
    from meshnet.driver.link import Underlay
    from meshnet.panel.port import PanelPort

log = logging.getLogger(__name__)


class Kernel:
    """What the daemon reads the kernel with and changes it by. Must be made in the node's network namespace.

    Raises KernelError when the kernel refuses what a daemon cannot do without, InvalidObject when the settings name an
    underlay that the node has not got.

    Attributes:
        monitor: hears every link on the node and in its pods, from the moment that it is made.
        netlink, ethtool: sockets in the node's namespace.
        underlay: by which other nodes are reached.
        splicer, deleter, maker: of the panel.
    """

    def __init__(self, settings: Settings) -> None:
        # First of all: what happens while the kernel is read must be heard.
        self.monitor = LinkMonitor()
        self.netlink = Netlink.open()
        number_own(self.netlink)
        self._settings = settings
        self.underlay = self.find_underlay()
        self.ethtool = Ethtool()
        self._indices = Indices(settings.run_dir / "ifindex")
        why_no_bpf = bpf.why_unusable()
        if why_no_bpf:
            log.info("links with offload use mirred here: %s", why_no_bpf)
        self.splicer = Splicer(self.netlink, self.ethtool, redirect_peer=why_no_bpf is None)
        self.deleter = Deleter()
        self.maker = PortMaker(self.netlink, self.ethtool, self._indices)

    def find_underlay(self, before: str = "") -> Underlay:
        """Return by what peers reach this node now: still by the address `before`, where nothing speaks against it.

        Raises InvalidObject, KernelError.
        """
        settings = self._settings
        return find_underlay(
            self.netlink,
            address=settings.node_ip,
            interface=settings.underlay_interface,
            mtu=settings.underlay_mtu,
            before=before,
        )

    def read_ports(self) -> tuple[list[PanelPort], list[int]]:
        """Return every port there is, and the indexes of those that were never finished. Their indexes count as taken.

        Raises KernelError.
        """
        ports, newborn = read_ports(self.netlink, self.ethtool), read_newborn(self.netlink)
        for ifindex in (*newborn, *(port.ifindex for port in ports)):
            self._indices.seen(ifindex)
        return ports, newborn

    def put_back(self) -> None:
        """Write down again how far indexes of ports were handed out, if somebody removed that. Raises OSError."""
        self._indices.put_back()

    def close(self) -> None:
        for resource in (self.monitor, self.netlink, self.ethtool):
            resource.close()
