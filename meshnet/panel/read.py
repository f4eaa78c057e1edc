"""Reading the panel from the kernel: every port, what it is spliced to, and the state of its pod's end."""

from __future__ import annotations

import errno
import re
from typing import TYPE_CHECKING, NamedTuple

from meshnet.driver.link import GSO_LEGACY_MAX_SIZE
from meshnet.errors import KernelError
from meshnet.model import names
from meshnet.model.topology import Endpoint
from meshnet.netlink import links, tc
from meshnet.netlink.ifla import IFF_UP
from meshnet.panel.indices import FIRST
from meshnet.panel.port import PanelPort

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshnet.netlink import LinkInfo, Netlink, Redirect
    from meshnet.netlink.ethtool import Ethtool

_PORT_NAME = re.compile(r"mn[0-9a-f]{12}")


class Filters(NamedTuple):
    """The filters of a port.

    Attributes:
        redirect: the splice that frames from the pod meet first, or None.
        sealed: both drops are there, that of what no splice takes and that of what the node itself says.
    """

    redirect: Redirect | None
    sealed: bool


def read_link(netlink: Netlink, ifindex: int, nsid: int | None = None) -> LinkInfo | None:
    """Return a link of the node, or of the namespace with that number; None when it is not there.

    Raises KernelError when that cannot be told.
    """
    try:
        return links.parse_link(netlink.ask(links.get_link(ifindex, nsid=nsid)))
    except KernelError as error:
        if error.errno in (errno.ENODEV, errno.EINVAL):
            return None
        raise


def read_ports(netlink: Netlink, ethtool: Ethtool) -> list[PanelPort]:
    """Return every port of ours in the node's namespace, named as its alias tells. Raises KernelError."""
    infos = map(links.parse_link, netlink.dump(links.dump_links(), steady=False))
    ports = [port for info in infos if (port := _port(info)) is not None and _complete(port, netlink, ethtool)]
    for port, flags in zip(ports, pod_end_flags(netlink, ports), strict=True):
        port.pod_up = bool(flags & IFF_UP)
    return ports


def pod_end_flags(netlink: Netlink, ports: Sequence[PanelPort]) -> list[int]:
    """Return the flags (IFF_*) of the pods' ends of ports; none of one that is gone, or on its way out."""
    answers = netlink.ask_many([links.get_link(port.pod_ifindex, nsid=port.nsid) for port in ports])
    return [0 if isinstance(answer, KernelError) else links.parse_link(answer).flags for answer in answers]


def complete(port: PanelPort, netlink: Netlink, ethtool: Ethtool) -> None:
    """Read what a link does not tell of a port. Raises KernelError."""
    port.redirect, port.sealed = read_filters(netlink, port.ifindex)
    port.offload = ethtool.tx_checksum(port.name)


def _complete(port: PanelPort, netlink: Netlink, ethtool: Ethtool) -> bool:
    """As `complete`; False when the port has gone with its pod meanwhile."""
    try:
        complete(port, netlink, ethtool)
    except KernelError as error:
        if error.errno in (errno.ENODEV, errno.EINVAL, errno.ENOENT):
            return False
        raise
    return True


def read_newborn(netlink: Netlink) -> list[int]:
    """Return the indexes of ports that a daemon died over before it marked them. Raises KernelError."""
    return [
        info.ifindex
        for info in map(links.parse_link, netlink.dump(links.dump_links(), steady=False))
        if is_newborn(info)
    ]


def is_newborn(info: LinkInfo) -> bool:
    """Tell whether a link is a port without a mark yet: made with a port's name and index, and nothing done to it."""
    return looks_like_a_port(info) and not info.alias and not info.up


def looks_like_a_port(info: LinkInfo) -> bool:
    """Tell whether a link is of a port's kind, with a port's index and name, whatever its mark."""
    return info.kind == "veth" and info.ifindex >= FIRST and _PORT_NAME.fullmatch(info.name) is not None


def read_filters(netlink: Netlink, ifindex: int) -> Filters:
    """Return what frames of the pod and of the node meet at a port. Raises KernelError."""
    ingress = netlink.dump(tc.dump_filters(ifindex))
    egress = netlink.dump(tc.dump_filters(ifindex, tc.EGRESS))
    redirects = (redirect for payload in ingress if (redirect := tc.parse_redirect(payload)) is not None)
    sealed = all(tc.DROP_PRIORITY in map(tc.parse_priority, filters) for filters in (ingress, egress))
    return Filters(next(redirects, None), sealed)


def take_over(port: PanelPort, info: LinkInfo) -> None:
    """Have a port be as its link was just read."""
    port.name, port.up, port.mtu = info.name, info.up, info.mtu
    port.nsid, port.pod_ifindex = -1 if info.link_nsid is None else info.link_nsid, info.link
    port.gso_ipv4_max_size = info.gso_ipv4_max_size or GSO_LEGACY_MAX_SIZE


def _port(info: LinkInfo) -> PanelPort | None:
    mark = names.parse_mark(info.alias)
    # The mark alone does not say that it is one: drivers put it on their own devices.
    if mark is None or not looks_like_a_port(info):
        return None
    port = PanelPort(
        endpoint=Endpoint(mark.namespace, mark.pod, mark.interface),
        uid=mark.uid,
        container_id=mark.container_id,
        name=info.name,
        ifindex=info.ifindex,
    )
    take_over(port, info)
    return port
