"""Inspecting: comparing what the table says of an end with the kernel."""

from __future__ import annotations

import errno
import logging
import os
from typing import TYPE_CHECKING, Any

from meshnet.errors import KernelError
from meshnet.netlink import links
from meshnet.netlink.netns import known_nsid, open_netns
from meshnet.panel.make import alias_of
from meshnet.panel.read import complete, read_filters, read_link, take_over
from meshnet.reconcile.end import INTERFACE_MOVED

if TYPE_CHECKING:
    from meshnet.netlink import LinkInfo, Netlink
    from meshnet.netlink.ethtool import Ethtool
    from meshnet.panel.port import PanelPort
    from meshnet.reconcile.end import End
    from meshnet.reconcile.sandbox import Sandbox
    from meshnet.reconcile.table import Table

log = logging.getLogger(__name__)

LOOPBACK = 1
"""The interface index that every namespace has."""


class Inspector:
    """Reads ends from the kernel.

    Args:
        netlink, ethtool: of the node.
        table: finds an end by where it was last read to be.
    """

    def __init__(self, netlink: Netlink, ethtool: Ethtool, table: Table) -> None:
        self._netlink = netlink
        self._ethtool = ethtool
        self._table = table

    def problem(self, end: End) -> str:
        """Return what is not as the table says, ``""`` when all is. Raises KernelError when it cannot be read."""
        if end.port is not None:
            return self._port_problem(end, end.port)
        if end.reason == INTERFACE_MOVED:
            return ""  # where the pod has its interface is its own affair, as with a port
        if not end.interface:
            return f"{end.endpoint}: {end.trouble or 'its interface does not exist'}"
        if self._pod_end(end) is None:
            return f"{end.endpoint}: the pod's interface is gone"
        return ""

    def ended(self, sandbox: Sandbox) -> bool:
        """Tell whether a sandbox's namespace has ended; False while that cannot be told.

        A port lives exactly as long as its other end. A number lives as long as its namespace, and may then be given to
        another: so a sandbox whose path says nothing can stay until its DEL, but none goes before its end.
        """
        seen = sandbox.seen() and self._has_its_number(sandbox)
        if seen:
            return False
        ports = [end.port for end in sandbox.ends.values() if end.port is not None]
        try:
            if any(read_link(self._netlink, port.ifindex) for port in ports):
                return False
            return seen is False or (sandbox.nsid >= 0 and read_link(self._netlink, LOOPBACK, sandbox.nsid) is None)
        except KernelError:
            return False

    def _has_its_number(self, sandbox: Sandbox) -> bool:
        """Tell whether what is at a sandbox's path has its number; True while that cannot be told.

        The inode number of a namespace that has ended is given to another one, of which a path can tell no more.
        """
        if sandbox.nsid < 0:
            return True
        try:
            fd = open_netns(sandbox.netns)
        except KernelError:
            return True
        try:
            return known_nsid(self._netlink, fd) == sandbox.nsid
        except KernelError:
            return True
        finally:
            os.close(fd)

    def live(self, end: End) -> dict[str, Any] | None:
        """Return what the pod's interface is right now, with its counters; None when it is not there."""
        if not end.pod_ifindex:
            return None
        try:
            payload = self._netlink.ask(links.get_link(end.pod_ifindex, nsid=end.nsid))
        except KernelError:
            return None
        info, stats = links.parse_link(payload), links.parse_stats(payload)
        return {
            "carrier": info.carrier,
            "up": info.up,
            "mtu": info.mtu,
            "mac": info.mac,
            "counters": stats._asdict(),
        }

    def look_again(self, end: End) -> None:
        """Read an end's port anew: what no event told of, that its pod's end moved or that it is gone, is seen now."""
        port = end.port
        if port is None:
            return
        entered = self._table.end(end.endpoint) is end
        self._table.detach(end)
        try:
            self.refresh(port)
        except KernelError as error:
            log.warning("%s: %s", end.endpoint, error)
            if error.errno == errno.ENODEV:
                end.lose_port()
        if entered:
            self._table.enter(end)

    def refresh(self, port: PanelPort) -> None:
        """Read a port anew, so that what nobody told of is seen. Raises KernelError."""
        info = links.parse_link(self._netlink.ask(links.get_link(port.ifindex)))
        take_over(port, info)
        port.marked = info.alias == alias_of(port)
        complete(port, self._netlink, self._ethtool)
        pod_end = read_link(self._netlink, port.pod_ifindex, port.nsid)
        port.pod_up = pod_end is not None and pod_end.up

    def _port_problem(self, end: End, port: PanelPort) -> str:
        port_info = read_link(self._netlink, port.ifindex)
        if port_info is None:
            return f"{end.endpoint}: its port {port.name} is gone"
        if self._pod_end(end) is None:
            return f"{end.endpoint}: the pod's interface is gone"
        redirect, sealed = read_filters(self._netlink, port.ifindex)
        if redirect != port.redirect:
            return f"{end.endpoint}: its port {port.name} is spliced to {redirect}, not to {port.redirect}"
        if not sealed:
            return f"{end.endpoint}: its port {port.name} has lost a filter that keeps the node out"
        if port_info.up != port.up:
            return f"{end.endpoint}: its port {port.name} is {_word(port_info.up)}, not {_word(port.up)}"
        return ""

    def _pod_end(self, end: End) -> LinkInfo | None:
        return read_link(self._netlink, end.pod_ifindex, end.nsid)


def _word(up: bool) -> str:
    return "up" if up else "down"
