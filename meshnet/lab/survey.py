"""Every link of a lab pinged both ways, from inside its pods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from meshnet.lab.ping import Ping, Pong, ping_all
from meshnet.model.effective import addresses

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from meshnet.model.topology import Endpoint, PodKey, Topology


@attrs.frozen
class Way:
    """One direction of a link that has addresses in a common subnet at both ends."""

    source: Endpoint
    destination: Endpoint
    ping: Ping


def ways(topologies: Sequence[Topology], namespaces: Mapping[PodKey, str]) -> list[Way]:
    """Return everything that can be pinged between pods that have a network namespace.

    Between the two ends of a link; and from each external interface to the next one on the same parent. Not within one
    pod: a kernel sends nothing out to an address of its own.

    Args:
        topologies: of the lab.
        namespaces: path by (namespace, pod).
    """
    ends = _addresses(topologies)
    found = []
    for source, destination in (*_pairs(topologies), *_external_pairs(topologies)):
        if destination not in ends or source not in ends:
            continue
        netns = namespaces.get(source.pod_key)
        if netns is None or destination.pod_key not in namespaces or destination.pod_key == source.pod_key:
            continue
        found += [
            Way(source, destination, Ping(netns, source.interface, one, other))
            for one, other in reachable(ends[source], ends[destination])
        ]
    return found


def reachable(own: Iterable[str], others: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield (source, destination) for the addresses of two ends that share a subnet; CIDRs in, addresses out."""
    import ipaddress  # noqa: PLC0415 - only `lab run` pings

    interfaces = [ipaddress.ip_interface(cidr) for cidr in others]
    for cidr in own:
        mine = ipaddress.ip_interface(cidr)
        for other in interfaces:
            if other.ip in mine.network and other.ip != mine.ip:
                yield str(mine.ip), str(other.ip)


def survey(found: Sequence[Way]) -> dict[tuple[Endpoint, Endpoint], list[Pong]]:
    """Ping, and return the outcomes by (source, destination)."""
    outcomes: dict[tuple[Endpoint, Endpoint], list[Pong]] = {}
    for way, pong in zip(found, ping_all([way.ping for way in found]), strict=True):
        outcomes.setdefault((way.source, way.destination), []).append(pong)
    return outcomes


def _addresses(topologies: Iterable[Topology]) -> dict[Endpoint, tuple[str, ...]]:
    by_key = {topology.key: topology for topology in topologies}
    return {
        topology.endpoint(link): addresses(topology, link, by_key.get((topology.namespace, link.peer_pod)))
        for topology in by_key.values()
        for link in topology.links
    }


def _pairs(topologies: Iterable[Topology]) -> list[tuple[Endpoint, Endpoint]]:
    return [
        (topology.endpoint(link), peer)
        for topology in topologies
        for link in topology.links
        if (peer := topology.peer(link)) is not None
    ]


def _external_pairs(topologies: Iterable[Topology]) -> list[tuple[Endpoint, Endpoint]]:
    groups: dict[str, list[Endpoint]] = {}
    for topology in topologies:
        for link in topology.links:
            if link.external:
                groups.setdefault(link.peer_intf, []).append(topology.endpoint(link))
    pairs: list[tuple[Any, Any]] = []
    for ends in groups.values():
        pairs += zip(ends, (*ends[1:], ends[0]), strict=True)
    return [pair for pair in pairs if pair[0] != pair[1]]
