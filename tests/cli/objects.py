"""Topologies for tests."""

from __future__ import annotations

from typing import Any

import attrs

from meshnet.driver import LinkDriver, Scope


def link(uid: int, peer: str, interface: str = "eth1", peer_interface: str = "eth1", **more: Any) -> dict[str, Any]:
    return {"uid": uid, "peer_pod": peer, "local_intf": interface, "peer_intf": peer_interface, **more}


def topology(name: str, *links: dict[str, Any], namespace: str = "default", **status: Any) -> dict[str, Any]:
    document: dict[str, Any] = {
        "apiVersion": "networkop.co.uk/v1beta1",
        "kind": "Topology",
        "metadata": {"name": name, "namespace": namespace, "generation": 1},
        "spec": {"links": list(links)},
    }
    return document | ({"status": status} if status else {})


def told(entry: dict[str, Any], state: str, **more: Any) -> dict[str, Any]:
    """What a daemon writes about a link into `status.links`."""
    same = {field: entry[field] for field in ("local_intf", "uid", "peer_pod", "peer_intf")}
    return {**same, "state": state, "driver": "veth", "why": "both pods run on node n1", **more}


def labels(name: str, *, per_end: bool) -> type[LinkDriver]:
    """A driver whose one option is ``label``."""

    @attrs.frozen
    class Options:
        label: str | None = attrs.field(default=None, metadata={"per_end": per_end})

    async def patch(self: Any, link: Any, peer: Any) -> Any:
        raise NotImplementedError

    return type(
        name, (LinkDriver,), {"api": 1, "name": name, "scopes": Scope.SAME_NODE, "options": Options, "patch": patch}
    )
