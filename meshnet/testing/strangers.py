"""Devices of others, made to see that a driver leaves them alone."""

from __future__ import annotations

import contextlib
from string import ascii_lowercase
from typing import TYPE_CHECKING

from meshnet.errors import KernelError
from meshnet.model.names import Mark
from meshnet.model.topology import Endpoint
from meshnet.netlink import Request, VethSpec, ifla, links
from meshnet.netlink.wire import NLM_F_CREATE, NLM_F_EXCL, nested, string, u32
from meshnet.testing.holdings import Held
from meshnet.testing.node import NIC

if TYPE_CHECKING:
    from meshnet.testing.bench import Bench
    from meshnet.testing.node import Namespace

_STRANGER_INDEX = 1 << 18
_OTHER = Endpoint("default", "bystander", "eth9")
"""Whose the marked ones are: a pod that has no link of the driver under test."""


def make_strangers(bench: Bench, made: frozenset[str]) -> frozenset[str]:
    """Make foreign devices on the node and in a pod, named nearly as what the driver has made; return their lines."""
    before = bench.network()
    names = {line.split()[3] for line in made if ": link " in line} | {"stranger"}
    taken = names | {link.name for link in bench.node.links()}
    for position, name in enumerate(sorted(names)):
        # the latest letter first: a name that ends with a number, of any base, comes to look like no other link's
        alike = next(name[:-1] + last for last in reversed(ascii_lowercase) if name[:-1] + last not in taken)
        taken.add(alike)
        veth = VethSpec(alike, _STRANGER_INDEX + position, "06:00:5e:00:54:01", 1500, alike, "06:00:5e:00:54:02", 0)
        with_pod = veth._replace(peer_netns_fd=bench.node.pod("bystander").fd)
        bench.node.netlink.run([links.new_veth(with_pod)])
    return bench.network() - before


def make_marked(bench: Bench, made: set[Held]) -> frozenset[str]:
    """Make a device of each kind that the driver has made, where it has, with another endpoint's mark.

    Return their lines; of a kind that takes more to make than its name there is none.
    """
    before = bench.network()
    wanted = {
        (space, link.kind)
        for space in bench.node.namespaces()
        for link in space.links()
        if Held(bench.node.name, space.name, link.ifindex) in made
    }
    for position, (space, kind) in enumerate(sorted(wanted, key=lambda each: (each[0].name, each[1]))):
        with contextlib.suppress(KernelError):
            _make_marked(bench, space, kind, f"other{position}")
    return bench.network() - before


def _make_marked(bench: Bench, where: Namespace, kind: str, name: str) -> None:
    """Make a device and mark it. Raises KernelError for a kind that needs to be told more."""
    nic = bench.node.link(NIC)
    assert nic is not None
    info = nested(ifla.IFLA_LINKINFO, string(ifla.IFLA_INFO_KIND, kind))
    body = ifla.IFINFO.pack(0, 0, 0, 0, 0) + string(ifla.IFLA_IFNAME, name) + info
    placed = u32(ifla.IFLA_LINK, nic.ifindex) + u32(ifla.IFLA_NET_NS_FD, where.fd)
    bench.node.netlink.run([Request(ifla.RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, body + placed, f"make {kind} {name}")])
    found = where.link(name)
    assert found is not None
    where.netlink.run([links.set_link(found.ifindex, alias=Mark.of(_OTHER, 9, "another-sandbox").alias)])
