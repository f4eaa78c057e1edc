"""The effective link: the two ends' entries as one, or why they are none.

`driver`, `mtu` and each key of `options` bind both ends when one gives them, and must be the same when both do; `down`
at one end is down. A driver may name option keys that each end has for itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from meshnet.errors import LinkError, spelt
from meshnet.model import rules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from meshnet.model.topology import Endpoint, Link, Topology


@attrs.frozen
class EffectiveLink:
    """A link as seen from one of its ends, with everything both ends agreed on.

    Attributes:
        local: the end that it is seen from.
        peer: the other end; None when the link is external.
        driver: the driver that was asked for, as written at this end if it is there; None for core's choice.
        mtu: bytes that were asked for, or None for the default.
        options: both ends' merged, and this end's own of those that are per end.
        down: the user unplugged the cable, at either end.
    """

    local: Endpoint
    peer: Endpoint | None
    driver: str | None = None
    mtu: int | None = None
    options: Mapping[str, Any] = attrs.field(factory=dict)
    down: bool = False


def effective(
    topology: Topology,
    link: Link,
    peer_topology: Topology | None,
    per_end: frozenset[str] = frozenset(),
    *,
    canonical: Callable[[str], str] = str,
) -> EffectiveLink:
    """Return what both ends' entries of a link make together.

    Args:
        topology: the Topology that `link` is an entry of.
        link: the entry to look from.
        peer_topology: the Topology that `link.peer_pod` names, or None when there is none. An external link needs none,
            and a link of a pod with itself takes `topology`.
        per_end: option keys that the ends may have differently.
        canonical: gives a driver's name for any of its aliases, so that two names of one driver agree.

    Raises:
        LinkError: ``PeerMissing`` (no such Topology, or no such interface in it) or ``PeerMismatch`` (which fields).
    """
    local, peer = topology.endpoint(link), topology.peer(link)
    if peer is None:
        return EffectiveLink(local, None, link.driver, link.mtu, link.options, link.down)
    back = _peer_entry(topology, link, peer, peer_topology)
    differing = list(_differences(_End(local, link), _End(peer, back), per_end, canonical))
    if differing:
        raise LinkError("PeerMismatch", "; ".join(differing), retry=False)
    theirs = {name: value for name, value in back.options.items() if name not in per_end}
    return EffectiveLink(
        local=local,
        peer=peer,
        driver=link.driver or back.driver,
        mtu=link.mtu or back.mtu,
        options={**theirs, **link.options},
        down=link.down or back.down,
    )


def addresses(topology: Topology, link: Link, peer_topology: Topology | None) -> tuple[str, ...]:
    """Return the CIDRs of this end: its own, or with none of its own what the peer's entry has as `peer_ip`."""
    if link.addresses:
        return link.addresses
    back = pointing_back(topology, link, peer_topology)
    return (back.peer_ip,) if back and back.peer_ip is not None else ()


def wanted_mtu(topology: Topology, link: Link, peer_topology: Topology | None) -> int | None:
    """Return the MTU that this end asks for, else the one its peer asks for; None when neither does (yet).

    None, too, when it is too small for this end's IPv6 addresses, which the kernel would take away: such ends differ.
    """
    back = pointing_back(topology, link, peer_topology)
    mtu = link.mtu or (back.mtu if back else None)
    return mtu if mtu and rules.mtu_fits(mtu, addresses(topology, link, peer_topology)) else None


def pointing_back(topology: Topology, link: Link, peer_topology: Topology | None) -> Link | None:
    """The peer's entry of the same link, or None when there is none."""
    peer = topology.peer(link)
    other = _other(topology, link, peer_topology)
    back = None if peer is None or other is None else other.link(peer.interface)
    if back is None or other is None or back.uid != link.uid or other.peer(back) != topology.endpoint(link):
        return None
    return back


def _other(topology: Topology, link: Link, peer_topology: Topology | None) -> Topology | None:
    """The peer's Topology. A link of a pod with itself has both ends in one, always the one at hand."""
    return topology if link.peer_pod == topology.name else peer_topology


def _peer_entry(topology: Topology, link: Link, peer: Endpoint, peer_topology: Topology | None) -> Link:
    other = _other(topology, link, peer_topology)
    where = f"{peer.namespace}/{peer.pod}"
    if other is None:
        raise LinkError("PeerMissing", f"there is no Topology {where}", retry=False)
    back = other.link(peer.interface)
    if back is None:
        message = f"Topology {where} has no link with local_intf {peer.interface}"
        raise LinkError("PeerMissing", message, retry=False)
    return back


@attrs.frozen
class _End:
    """An endpoint and the entry that it declares; shows itself as the endpoint."""

    at: Endpoint
    entry: Link

    def __str__(self) -> str:
        return str(self.at)


def _differences(here: _End, there: _End, per_end: frozenset[str], canonical: Callable[[str], str]) -> Iterator[str]:
    """Each field that keeps two entries from being one link, with both values."""
    link, back = here.entry, there.entry
    if (back.peer_pod, back.peer_intf) != (here.at.pod, here.at.interface):
        yield f"the peer of {there} is {back.peer_pod}:{back.peer_intf}, not {here.at.pod}:{here.at.interface}"
    if link.uid != back.uid:
        yield f"uid is {link.uid} at {here} and {back.uid} at {there}"
    if link.driver and back.driver and canonical(link.driver) != canonical(back.driver):
        yield f"driver is {link.driver} at {here} and {back.driver} at {there}"
    if link.mtu and back.mtu and link.mtu != back.mtu:
        yield f"mtu is {link.mtu} at {here} and {back.mtu} at {there}"
    yield from _lost_addresses(here, there)
    yield from _lost_addresses(there, here)
    for name in sorted(link.options.keys() & back.options.keys() - per_end):
        if not same(link.options[name], back.options[name]):
            yield f"options.{name} is {spelt(link.options[name])} at {here} and {spelt(back.options[name])} at {there}"


def _lost_addresses(end: _End, other: _End) -> Iterator[str]:
    """An MTU that either gives, and that takes the IPv6 addresses of one off: its own, or the other's for it."""
    giving = other if other.entry.mtu else end
    given = (other.entry.peer_ip,) if other.entry.peer_ip is not None else ()
    having = end.entry.addresses or given
    mtu = giving.entry.mtu
    if mtu and not rules.mtu_fits(mtu, having):
        lost = ", ".join(filter(rules.is_ipv6, having))
        yield f"mtu is {mtu} at {giving}, less than the {rules.MIN_IPV6_MTU} that {lost} at {end} needs"


def same(here: object, there: object) -> bool:
    """Tell whether two JSON values are equal: to Python ``True == 1``, to a user it is not."""
    if isinstance(here, dict) and isinstance(there, dict):
        return here.keys() == there.keys() and all(same(here[name], there[name]) for name in here)
    if isinstance(here, list) and isinstance(there, list):
        return len(here) == len(there) and all(map(same, here, there))
    return isinstance(here, bool) == isinstance(there, bool) and here == there
