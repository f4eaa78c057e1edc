"""One device: made, and made what its link says, without losing a frame of what it carries."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, NamedTuple

from meshnet.errors import KernelError
from meshnet.netlink import links, tc
from meshnet_vxlan.messages import (
    DEVICE_MTU,
    NewVxlan,
    Vxlan,
    add_remote,
    change_local,
    delete_remote,
    new_vxlan,
    parse_vxlan,
)
from meshnet_vxlan.owned import device_mac, read_remotes

if TYPE_CHECKING:
    from meshnet.netlink import Netlink, Request
    from meshnet_vxlan.messages import Remote


class Tunnel(NamedTuple):
    """What a device shall be.

    Attributes:
        alias: its mark.
        vni, port, local: what it receives, and the address it sends from. Of the first two, and of the address's
            family, a device has what it was made with.
        remote: where it sends.
        to: the port that what comes in is redirected to, by ifindex.
    """

    alias: str
    vni: int
    port: int
    local: str
    remote: Remote
    to: int

    def fits(self, device: Vxlan) -> bool:
        """Tell whether a device can be made what this says."""
        family_fits = (":" in device.local) == (":" in self.local)
        return bool(device.local) and family_fits and (device.vni, device.port) == (self.vni, self.port)


def make(netlink: Netlink, name: str, tunnel: Tunnel) -> Vxlan:
    """Make a device, down and unmarked; `adjust` does the rest. Raises KernelError."""
    netlink.run([new_vxlan(NewVxlan(name, device_mac(name), tunnel.vni, tunnel.port, tunnel.local))])
    made = parse_vxlan(netlink.ask(links.get_link(name)))
    assert made is not None
    return made


def adjust(netlink: Netlink, device: Vxlan, tunnel: Tunnel, *, fresh: bool) -> None:
    """Change a device to what it shall be; one that is so already is only read.

    Args:
        netlink: of the node.
        device: which.
        tunnel: what it shall be.
        fresh: it was just made: nothing hangs on it, which need not be read.

    Raises KernelError: EADDRINUSE when somebody else has the UDP port.
    """
    ifindex = device.info.ifindex
    ingress, egress = ([] if fresh else _filters(netlink, ifindex, parent) for parent in (tc.INGRESS, tc.EGRESS))
    remotes = [] if fresh else read_remotes(netlink, device)
    changes = [
        *_marking(device, tunnel),
        *_splicing(ingress, egress, device, tunnel),
        *_sending(remotes, device, tunnel),
    ]
    if not device.info.up:
        # Last: it is silent by now, and goes where it shall.
        changes.append(links.set_link(device.info.ifindex, up=True))
    if changes:
        # of the qdisc; and of being quiet, on a node without IPv6
        netlink.run_tolerating(changes, errno.EEXIST, errno.EAFNOSUPPORT)


def _marking(device: Vxlan, tunnel: Tunnel) -> list[Request]:
    info = device.info
    changes = []
    if info.mtu != DEVICE_MTU:
        changes.append(links.set_link(info.ifindex, mtu=DEVICE_MTU))
    if changes or info.alias != tunnel.alias or not info.up:
        # Quiet, also where it was once: below 1280 bytes the kernel takes IPv6 off a device, and what it had set.
        changes.append(links.set_link(info.ifindex, alias=tunnel.alias))
        changes.append(links.set_link(info.ifindex, quiet=True))
    return changes


def _splicing(ingress: list[bytes], egress: list[bytes], device: Vxlan, tunnel: Tunnel) -> list[Request]:
    """Return what keeps the node out of the device, and what comes in on its way to the port, beside its filters."""
    ifindex = device.info.ifindex
    redirects = [redirect for payload in ingress if (redirect := tc.parse_redirect(payload)) is not None]
    changes = []
    if not all(tc.DROP_PRIORITY in map(tc.parse_priority, filters) for filters in (ingress, egress)):
        changes += [
            tc.add_clsact(ifindex),
            tc.add_ingress_drop(ifindex),
            tc.add_egress_own_drop(ifindex, device.info.mac),
        ]
    if redirects != [tc.Redirect("mirred", tunnel.to)]:
        changes.append(tc.redirect(ifindex, tunnel.to))
    return changes


def _filters(netlink: Netlink, ifindex: int, parent: int) -> list[bytes]:
    try:
        return netlink.dump(tc.dump_filters(ifindex, parent))
    except KernelError as error:
        if error.errno != errno.EINVAL:  # it has no qdisc to hang filters on
            raise
        return []


def _sending(there: list[Remote], device: Vxlan, tunnel: Tunnel) -> list[Request]:
    """Return what re-points the device: the new before the old goes, so that no frame has nowhere to go."""
    ifindex = device.info.ifindex
    changes = []
    if device.local != tunnel.local:
        changes.append(change_local(ifindex, tunnel.local))
    if tunnel.remote not in there:
        changes.append(add_remote(ifindex, tunnel.remote))
    changes += [delete_remote(ifindex, remote) for remote in there if remote != tunnel.remote]
    return changes
