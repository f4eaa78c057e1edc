"""Hearing: what the kernel's link events mean for the ends on this node."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from meshnet.errors import KernelError
from meshnet.netlink import links
from meshnet.panel.read import read_link

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshnet.model.topology import Endpoint
    from meshnet.netlink import Netlink
    from meshnet.netlink.events import LinkEvent, LinkMonitor
    from meshnet.panel.port import PanelPort
    from meshnet.reconcile.carrier import CarrierKeeper
    from meshnet.reconcile.end import End
    from meshnet.reconcile.sandbox import Sandbox
    from meshnet.reconcile.table import Table

log = logging.getLogger(__name__)


class Ear:
    """Turns link events into carrier at once, and into work for the rest.

    Args:
        ended: whether a sandbox's namespace has ended.
        kick: settle this endpoint.
        vanished: a sandbox's namespace is gone without a DEL.
        lost: events were lost; look at everything.
    """

    def __init__(
        self,
        monitor: LinkMonitor,
        netlink: Netlink,
        table: Table,
        carrier: CarrierKeeper,
        *,
        ended: Callable[[Sandbox], bool],
        kick: Callable[[Endpoint], None],
        vanished: Callable[[Sandbox], None],
        lost: Callable[[], None],
    ) -> None:
        self._monitor = monitor
        self._netlink = netlink
        self._table = table
        self._carrier = carrier
        self._ended = ended
        self._kick = kick
        self._vanished = vanished
        self._lost = lost

    def listen(self) -> None:
        """Take in everything that was heard by now."""
        try:
            events = self._monitor.read()
        except KernelError as error:
            log.warning("%s", error)
            self._lost()
            return
        # Of a link that was made and set up since the last time, only how it is now counts: no flap in between.
        latest = {(event.nsid, event.ifindex): event for event in events if not event.gone}
        for event in events:
            if not event.gone and latest[event.nsid, event.ifindex] is not event:
                continue
            try:
                self._hear(event)
            except KernelError as error:
                log.warning("after %s: %s", event, error)
                self._lost()

    def _hear(self, event: LinkEvent) -> None:
        if event.nsid is None:
            self._of_node(event, self._table.by_port(event.ifindex))
        elif event.ifindex == 0:
            self._namespace_gone(event.nsid)
        else:
            self._pod_end(event, self._table.by_pod_end(event.nsid, event.ifindex))

    def _of_node(self, event: LinkEvent, end: End | None) -> None:
        """Of the node's own links two kinds count: ports, and devices that ports are spliced to.

        Somebody else has touched them, or it is told what is known here already. Others come and go by thousands.
        """
        if end is None:
            if event.gone or not event.up:
                for spliced in self._table.by_device(event.ifindex):
                    log.warning("%s: the device that its port is spliced to is down or gone", spliced)
                    self._kick(spliced)
        elif event.gone:
            self._port_gone(end)
        elif end.port is not None and end.port.up != event.up:
            self._port_set(end, end.port)

    def _port_set(self, end: End, port: PanelPort) -> None:
        """Find out how a port is, which may have been told earlier than what was done last; put it right."""
        info = read_link(self._netlink, port.ifindex)
        if info is not None and info.up != port.up:
            log.warning("%s: its port was set %s by somebody else", end.endpoint, "up" if info.up else "down")
            port.up = info.up
            self._carry(end)

    def _pod_end(self, event: LinkEvent, end: End | None) -> None:
        if end is None:
            return
        if event.gone:
            self._pod_end_gone(end)
        elif end.pod_up != event.up:
            end.pod_up = event.up
            self._carry(end)

    def _carry(self, end: End) -> None:
        if not self._carrier.update(end):
            self._kick(end.endpoint)

    def _pod_end_gone(self, end: End) -> None:
        """Find out whether the pod's end was moved; if it was deleted, its port goes, too, and tells."""
        port = end.port
        if port is None:
            self._direct_gone(end)
            return
        try:
            info = links.parse_link(self._netlink.ask(links.get_link(port.ifindex)))
            if info.link_nsid is None:
                return
            self._table.detach(end)
            port.nsid, port.pod_ifindex = info.link_nsid, info.link
            self._table.enter(end)
            moved = self._netlink.ask(links.get_link(port.pod_ifindex, nsid=port.nsid))
            end.pod_up = links.parse_link(moved).up
        except KernelError:
            return
        self._carry(end)
        self._kick(end.endpoint)  # back in the pod it can be edited

    def _direct_gone(self, end: End) -> None:
        self._table.detach(end)
        end.interface, end.interface_up = 0, False
        self._lost_interface(end)

    def _port_gone(self, end: End) -> None:
        self._table.detach(end)
        end.lose_port()
        self._carry(end)
        self._lost_interface(end)

    def _lost_interface(self, end: End) -> None:
        if self._ended(end.sandbox):
            self._vanished(end.sandbox)
        else:
            log.warning("%s: its interface was deleted by somebody else", end.endpoint)
            self._kick(end.endpoint)

    def _namespace_gone(self, nsid: int) -> None:
        for sandbox in list(self._table.sandboxes.values()):
            # The number may have been given to another namespace since.
            if sandbox.nsid == nsid and self._ended(sandbox):
                self._vanished(sandbox)
