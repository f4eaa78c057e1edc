"""Sandboxes, ends and Topologies made for tests of what decides without the kernel."""

from __future__ import annotations

import asyncio
import copy
from typing import TYPE_CHECKING, Any

import attrs

from meshnet.dispatch.resolve import Plan
from meshnet.driver.api import Port
from meshnet.errors import InvalidObject, Problem
from meshnet.model.resource import API_VERSION
from meshnet.model.topology import Endpoint
from meshnet.panel.port import PanelPort
from meshnet.reconcile.end import Applied, End, Joint
from meshnet.reconcile.sandbox import Sandbox, SandboxKey
from meshnet.stores.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshnet.model.resource import Kind, Resource
    from meshnet.reconcile.table import Table


def sandbox(pod: str = "r1", container: str = "", *, epoch: int = 1, nsid: int = -1) -> Sandbox:
    name = container or f"c-{pod}"
    return Sandbox(
        key=SandboxKey("mesh", name, "eth0"),
        namespace="default",
        pod=pod,
        pod_uid="",
        netns=f"/run/netns/{name}",
        netns_id=(4, 4026531840),
        nsid=nsid,
        epoch=epoch,
    )


def end(box: Sandbox, interface: str, peer: str, *, ifindex: int = 0, **plan: Any) -> End:
    """An end in a sandbox with a port of that index: ``end(box, "eth1", "r2:eth1", ifindex=1 << 20)``."""
    endpoint = Endpoint(box.namespace, box.pod, interface)
    pod, peer_interface = peer.split(":")
    other = Endpoint(box.namespace, pod, peer_interface)
    made = End(
        endpoint,
        box,
        Applied(1, "02:00:00:00:00:01", 1500, ()),
        plan=Plan(local=endpoint, peer=other, parent=None, uid=1, mtu=1500, addresses=(), mac=None, **plan),
    )
    made.generation = 1  # settled by a Topology that was never edited
    if ifindex:
        made.port = PanelPort(
            endpoint, 1, box.key.container_id, f"port{ifindex}", ifindex, nsid=box.nsid, pod_ifindex=2, pod_up=True
        )
    box.ends[interface] = made
    return made


def replan(made: End, **fields: Any) -> None:
    """Give an end another plan."""
    assert made.plan is not None
    made.plan = attrs.evolve(made.plan, **fields)


def join(one: End, other: End) -> None:
    """Patch two ends to each other."""
    for here, there in ((one, other), (other, one)):
        here.joint = Joint(there.endpoint, there.sandbox.epoch)
        here.splice = there.port.facts() if there.port else None
        assert here.splice is None or isinstance(here.splice, Port)


def enter(table: Table, *boxes: Sandbox) -> None:
    for box in boxes:
        table.add(box)


def topology(name: str, *links: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": "Topology",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"links": list(links)},
    }


def link(uid: int, local: str, peer: str, **fields: Any) -> dict[str, Any]:
    pod, interface = peer.split(":")
    return {"uid": uid, "local_intf": local, "peer_pod": pod, "peer_intf": interface, **fields}


@attrs.frozen
class Write:
    """A status that was written: when, and what of it the patch said."""

    at: float
    name: str
    status: Mapping[str, Any]


class Backup:
    """The state of a store as it is now, which it can be put back to, as a cluster is from a backup."""

    FIELDS = ("_objects", "_log", "_revision")

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._kept = {field: copy.copy(getattr(store, field)) for field in self.FIELDS}

    def restore(self) -> None:
        vars(self._store).update(self._kept)
        self._store._wakeups.ring()


class NotingStore(MemoryStore):
    """A store in memory that notes each write of a status, and may be slow or away.

    Attributes:
        asked: how often it was asked for one object.
        lasts_s: how long a write of a status takes, after which it has happened.
        error: what every write of a status raises, or None.
        refused: the name of the object whose status no webhook lets anybody write.
        lost: what a write of a status raises that has happened, once; or None.
    """

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0
        self.writes: list[Write] = []
        self.lasts_s = 0.0
        self.error: Exception | None = None
        self.refused = ""
        self.lost: Exception | None = None

    async def get(self, kind: Kind, namespace: str, name: str) -> Resource:
        self.asked += 1
        return await super().get(kind, namespace, name)

    async def patch_status(
        self, kind: Kind, namespace: str, name: str, status: Mapping[str, Any], *, resource_version: str | None = None
    ) -> Resource:
        if self.error is not None:
            raise self.error
        if self.refused == name:
            raise InvalidObject(name, [Problem("status", status, "what the webhook likes")])
        written = await super().patch_status(kind, namespace, name, status, resource_version=resource_version)
        self.writes.append(Write(asyncio.get_running_loop().time(), name, status))
        await asyncio.sleep(self.lasts_s)
        lost, self.lost = self.lost, None
        if lost is not None:
            raise lost
        return written
