"""Topologies and pods written for a test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import yaml

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

STAY = ("sleep", "infinity")
Document = dict[str, Any]


def split(place: str) -> tuple[str, str]:
    """Return the pod and the interface of POD:INTERFACE."""
    pod, _, interface = place.partition(":")
    return pod, interface


@attrs.frozen
class Cable:
    """A link between two places, POD:INTERFACE each.

    Attributes:
        uid: of the link; its network is made of it.
        both: more fields of both ends' entries.
        a_only, b_only: more fields of one end's entry.
    """

    uid: int
    a: str
    b: str
    both: Mapping[str, Any] = attrs.field(factory=dict)
    a_only: Mapping[str, Any] = attrs.field(factory=dict)
    b_only: Mapping[str, Any] = attrs.field(factory=dict)

    @property
    def addresses(self) -> tuple[str, str]:
        """Of the two ends, without prefix length."""
        network = f"10.{100 + self.uid // 256}.{self.uid % 256}"
        return f"{network}.1", f"{network}.2"

    def entries(self) -> list[tuple[str, Document]]:
        """Return (pod, entry of its `spec.links`) for both ends."""
        ends = zip((self.a, self.b), (self.b, self.a), self.addresses, (self.a_only, self.b_only), strict=True)
        return [(split(own)[0], self._entry(own, peer, address, only)) for own, peer, address, only in ends]

    def _entry(self, own: str, peer: str, address: str, only: Mapping[str, Any]) -> Document:
        (_, interface), (peer_pod, peer_interface) = split(own), split(peer)
        entry = {"uid": self.uid, "peer_pod": peer_pod, "local_intf": interface, "peer_intf": peer_interface}
        return {**entry, "local_ip": f"{address}/24", **self.both, **only}


def topology(name: str, links: object, namespace: str = "default") -> Document:
    metadata = {"name": name, "namespace": namespace}
    spec = {"links": links}
    return {"apiVersion": "networkop.co.uk/v1beta1", "kind": "Topology", "metadata": metadata, "spec": spec}


def pod(name: str, command: Sequence[str] = STAY, namespace: str = "default", **spec: Any) -> Document:
    container = {"name": "shell", "image": "alpine", "command": list(command)}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"terminationGracePeriodSeconds": 1, "containers": [container], **spec},
    }


def topologies(cables: Iterable[Cable], namespace: str = "default", extra: Iterable[str] = ()) -> list[Document]:
    """Return the Topology of every pod that a cable names, and of `extra` ones without any."""
    entries: dict[str, list[Document]] = {name: [] for name in extra}
    for cable in cables:
        for name, entry in cable.entries():
            entries.setdefault(name, []).append(entry)
    return [topology(name, links, namespace) for name, links in sorted(entries.items())]


def network(cables: Iterable[Cable], namespace: str = "default", extra: Iterable[str] = ()) -> list[Document]:
    """Return the Topologies of all pods that the cables name, and the pods."""
    made = topologies(cables, namespace, extra)
    return made + [pod(each["metadata"]["name"], namespace=namespace) for each in made]


def write(path: Path, documents: Iterable[Document]) -> Path:
    """Write documents into one file of YAML."""
    path.write_text(yaml.safe_dump_all(documents, sort_keys=False))
    return path
