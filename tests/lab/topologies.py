"""Topologies for labs under test, as text."""

from __future__ import annotations

import json
from typing import Any

API = "networkop.co.uk/v1beta1"


def topology(name: str, *links: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": API, "kind": "Topology", "metadata": {"name": name}, "spec": {"links": list(links)}}


def link(uid: int, local: str, peer: str, address: str | None = None, **more: Any) -> dict[str, Any]:
    """Return an end of a link; `peer` is ``POD:INTERFACE``."""
    pod, _, interface = peer.partition(":")
    entry = {"uid": uid, "local_intf": local, "peer_pod": pod, "peer_intf": interface, **more}
    return entry if address is None else {**entry, "local_ip": address}


def pod(name: str, *command: str, **spec: Any) -> dict[str, Any]:
    container: dict[str, Any] = {"name": "main", "image": "none", **spec.pop("container", {})}
    if command:
        container["command"] = list(command)
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": [container], **spec}}


def text(*documents: dict[str, Any]) -> str:
    return "\n---\n".join(json.dumps(document) for document in documents)


def pair(*pods: dict[str, Any]) -> str:
    """Return r1 and r2 with one cable; `pods` instead of pods that only stay."""
    return text(
        topology("r1", link(1, "eth1", "r2:eth1", "10.0.0.1/24")),
        topology("r2", link(1, "eth1", "r1:eth1", "10.0.0.2/24")),
        *(pods or (pod("r1"), pod("r2"))),
    )


def ring(count: int) -> str:
    """Return a ring of pods p0, p1, ..."""
    documents = []
    for index in range(count):
        after, before = (index + 1) % count, (index - 1) % count
        documents += [
            topology(
                f"p{index}",
                link(index + 1, "eth1", f"p{after}:eth2", f"10.1.{index}.1/24"),
                link(before + 1, "eth2", f"p{before}:eth1", f"10.1.{before}.2/24"),
            ),
            pod(f"p{index}"),
        ]
    return text(*documents)
