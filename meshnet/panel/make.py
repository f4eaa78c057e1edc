"""Making ports: all of a pod's in three batches, each failing alone."""

from __future__ import annotations

import contextlib
import errno
import os
from typing import TYPE_CHECKING

from meshnet.errors import KernelError
from meshnet.model import names
from meshnet.netlink import BatchError, VethSpec, addresses, links, tc
from meshnet.panel.delete import delete_ports
from meshnet.panel.plain import PlainEnds
from meshnet.panel.port import Made, PanelPort
from meshnet.panel.read import read_link

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshnet.driver.api import Inside
    from meshnet.netlink import Netlink, Request
    from meshnet.netlink.ethtool import Ethtool
    from meshnet.panel.indices import Indices
    from meshnet.panel.port import PortWish

WITHOUT_IPV6 = errno.EAFNOSUPPORT
"""What silencing a port is answered where IPv6 is not: on a node without it, or at an MTU that is too small for it."""
INDEX_TRIES = 16
"""How many taken interface indexes to step over before giving up on a port."""


class PortMaker:
    """Makes ports in the node's namespace with their other ends inside a pod."""

    def __init__(self, netlink: Netlink, ethtool: Ethtool, indices: Indices) -> None:
        self._netlink = netlink
        self._ethtool = ethtool
        self._indices = indices
        self._plain = PlainEnds(os.uname().release)
        self._left: list[PanelPort] = []  # those under way, and of failed ones what could not be taken back

    def make(self, wishes: Sequence[PortWish], inside: Inside) -> list[Made]:
        """Make a port for each wish, admin down, its pod end addressed and up.

        What cannot be made is reported with its error and not left half made; an address that the pod refuses is
        reported on a port that stays. Raises KernelError when the kernel refuses what every port needs; no port is left
        then, or, should it refuse that too, none when others are made.
        """
        self._unmake()
        try:
            ports, errors = self._create(wishes, inside.netns_fd)
            made = [port for port in ports if port is not None]
            self._prepare(made)
            self._plain.make([port.endpoint for port in made], inside.netlink)
            refused = self._furnish(wishes, ports, inside.netlink)
        except KernelError:
            with contextlib.suppress(KernelError):  # what is wrong is told already
                self._unmake()
            raise
        self._left.clear()
        return [Made(port, errors.get(position) or refused.get(position)) for position, port in enumerate(ports)]

    def _create(
        self, wishes: Sequence[PortWish], netns_fd: int
    ) -> tuple[list[PanelPort | None], dict[int, KernelError]]:
        ports: list[PanelPort | None] = [None] * len(wishes)
        errors: dict[int, KernelError] = {}
        wanted = list(range(len(wishes)))
        for _ in range(INDEX_TRIES):
            attempt = [self._new_port(wishes[position]) for position in wanted]
            self._left += attempt  # the answer, which tells whether they are there, can be lost
            failures, echoes = self._run(
                [_veth(port, wishes[p], netns_fd) for p, port in zip(wanted, attempt, strict=True)]
            )
            self._read_back([port for slot, port in enumerate(attempt) if slot not in failures], echoes)
            for slot, position in enumerate(wanted):
                if slot in failures:
                    errors[position] = failures[slot]
                else:
                    errors.pop(position, None)
                    ports[position] = attempt[slot]
            wanted = [wanted[slot] for slot, error in failures.items() if self._index_taken(attempt[slot], error)]
            if not wanted:
                break
        return ports, errors

    def _index_taken(self, port: PanelPort, error: KernelError) -> bool:
        if error.errno != errno.EEXIST:
            return error.errno == errno.EBUSY
        # The kernel says so of a link of that name, in the pod, and of one of that index, here.
        return read_link(self._netlink, port.ifindex) is not None

    def _unmake(self) -> None:
        """Delete what there is of ports that are nobody's. Raises KernelError when some may be left."""
        found = [(port, read_link(self._netlink, port.ifindex)) for port in self._left]
        # Of another name it is another's link, whose index was wanted for the port.
        there = [port.ifindex for port, info in found if info is not None and info.name == port.name]
        if there:
            delete_ports(there)
        self._left.clear()

    def _new_port(self, wish: PortWish) -> PanelPort:
        return PanelPort(
            endpoint=wish.endpoint,
            uid=wish.uid,
            container_id=wish.container_id,
            name=names.port_name(wish.container_id, wish.endpoint.interface),
            ifindex=self._indices.take(),
            mtu=wish.mtu,
        )

    def _run(self, requests: Sequence[Request]) -> tuple[dict[int, KernelError], list[bytes]]:
        try:
            return {}, self._netlink.run(requests)
        except BatchError as error:
            return dict(error.failures), list(error.echoes)

    def _read_back(self, ports: Sequence[PanelPort], echoes: Sequence[bytes]) -> None:
        """Read where the pod's ends came to be, from the echoes; before Linux 6.2 there are none, and we ask."""
        if len(echoes) < len(ports):
            echoes = self._netlink.run([links.get_link(port.ifindex) for port in ports])
        by_index = {port.ifindex: port for port in ports}
        for echo in echoes:
            info = links.parse_link(echo)
            port = by_index.get(info.ifindex)
            if port is not None:
                port.pod_ifindex = info.link
                port.nsid = -1 if info.link_nsid is None else info.link_nsid

    def _prepare(self, ports: Sequence[PanelPort]) -> None:
        """Mark the ports and silence them, before their first up."""
        marks = [links.set_link(port.ifindex, alias=alias_of(port)) for port in ports]
        quiet = [quieten(port) for port in ports]
        # First, all of them: a filter waits, with the kernel's lock, until every processor knows of qdiscs made before.
        qdiscs = [tc.add_clsact(port.ifindex) for port in ports]
        drops = [request for port in ports for request in drop(port)]
        if ports:
            self._netlink.run_tolerating([*qdiscs, *marks, *quiet, *drops], WITHOUT_IPV6)
        for port in ports:
            self._ethtool.set_tx_checksum(port.name, on=False)

    def _furnish(
        self, wishes: Sequence[PortWish], ports: Sequence[PanelPort | None], inside: Netlink
    ) -> dict[int, KernelError]:
        """Give the pod's ends their addresses and set them up; return what the pod refused."""
        requests: list[Request] = []
        owner: list[int] = []
        for position, (wish, port) in enumerate(zip(wishes, ports, strict=True)):
            if port is None:
                continue
            batch = [addresses.add_address(port.pod_ifindex, cidr) for cidr in wish.addresses]
            batch.append(links.set_link(port.pod_ifindex, up=True))
            requests += batch
            owner += [position] * len(batch)
            port.pod_up = True
        if not requests:
            return {}
        try:
            inside.run(requests)
        except BatchError as error:
            return {owner[index]: failure for index, failure in reversed(error.failures)}
        return {}


def alias_of(port: PanelPort) -> str:
    """Return the ownership mark of a port."""
    return names.Mark.of(port.endpoint, port.uid, port.container_id).alias


def quieten(port: PanelPort) -> Request:
    """Return what keeps a port from speaking IPv6 for itself; answered `WITHOUT_IPV6` where it cannot anyway."""
    return links.set_link(port.ifindex, quiet=True)


def seal(port: PanelPort) -> tuple[Request, ...]:
    """Return what keeps the node out of a port, and its frames in."""
    return (tc.add_clsact(port.ifindex), *drop(port))


def drop(port: PanelPort) -> tuple[Request, ...]:
    """Return the filters of a sealed port; they hang on its qdisc."""
    return (
        tc.add_ingress_drop(port.ifindex),
        tc.add_egress_own_drop(port.ifindex, names.port_mac(port.container_id, port.endpoint.interface)),
    )


def _veth(port: PanelPort, wish: PortWish, netns_fd: int) -> Request:
    return links.new_veth(
        VethSpec(
            port_name=port.name,
            port_ifindex=port.ifindex,
            port_mac=names.port_mac(port.container_id, wish.endpoint.interface),
            mtu=wish.mtu,
            peer_name=wish.endpoint.interface,
            peer_mac=wish.mac,
            peer_netns_fd=netns_fd,
        )
    )
