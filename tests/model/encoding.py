"""Documents of Topologies that tests have made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from meshnet.model.resource import API_VERSION, Kind

if TYPE_CHECKING:
    from meshnet.model.topology import Link, Topology


def encode_link(link: Link) -> dict[str, Any]:
    """The element of `spec.links` for a link, without what is at its default."""
    first, *others = link.addresses or (None,)
    written = {
        "uid": link.uid,
        "peer_pod": link.peer_pod,
        "local_intf": link.local_intf,
        "peer_intf": link.peer_intf,
        "local_ip": first,
        "local_ips": others,
        "peer_ip": link.peer_ip,
        "local_mac": link.local_mac,
        "driver": link.driver,
        "mtu": link.mtu,
        "options": dict(link.options),
        "down": link.down,
    }
    defaults: tuple[object, ...] = (None, [], {}, False)
    required = ("uid", "peer_pod", "local_intf", "peer_intf")
    return {name: value for name, value in written.items() if name in required or value not in defaults}


def encode_topology(topology: Topology) -> dict[str, Any]:
    """A whole document for a Topology; decoding it gives the same Topology."""
    metadata = {
        "name": topology.name,
        "namespace": topology.namespace,
        "uid": topology.uid,
    }
    return {
        "apiVersion": API_VERSION,
        "kind": Kind.TOPOLOGY.value,
        "metadata": {name: value for name, value in metadata.items() if value},
        "spec": {"links": [encode_link(link) for link in topology.links]},
        "status": attrs.asdict(topology.claim, filter=attrs.filters.exclude("receive_ids")),
    }
