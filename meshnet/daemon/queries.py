"""Queries at the local socket: what commands ask a daemon about its node, answered live."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from meshnet import __version__
from meshnet.cni.frame import encode_reply
from meshnet.driver.api import Counts
from meshnet.driver.calls import Hangs, call
from meshnet.driver.listing import driver_rows
from meshnet.errors import KernelError, LinkError
from meshnet.netlink import Netlink, addresses
from meshnet.reconcile.linkstate import link_state
from meshnet.reconcile.owner import superseded
from meshnet.reconcile.status import link_status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from meshnet.driver.registry import Registry
    from meshnet.reconcile.cache import TopologyCache
    from meshnet.reconcile.carrier import CarrierKeeper
    from meshnet.reconcile.end import End
    from meshnet.reconcile.inspect import Inspector
    from meshnet.reconcile.sandbox import Sandbox
    from meshnet.reconcile.table import Table

log = logging.getLogger(__name__)

COUNT_LIMIT_S = 1.0
"""How long a driver may take to tell what it counts."""
TURN = 64
"""Ends that are read from the kernel at a time: thousands take seconds, in which peers would miss this daemon."""
STATES = ("up", "down", "pending", "failed")


class Queries:
    """Answers ``MESHNET_QUERY=NAME``; everything is read when asked."""

    def __init__(
        self,
        node: str,
        *,
        table: Table,
        inspector: Inspector,
        registry: Registry,
        cache: TopologyCache,
        carrier: CarrierKeeper,
        peers: Callable[[], dict[str, Any]],
        installed: Callable[[], dict[str, Any]] | None = None,
    ) -> None:
        self._node = node
        self._table = table
        self._inspector = inspector
        self._registry = registry
        self._cache = cache
        self._carrier = carrier
        self._installed = installed
        self._cannot_count: set[str] = set()
        self._hanging: set[str] = set()
        self._answers: dict[str, Callable[[], Any]] = {
            "peers": lambda: {"node": node, **peers()},
            "states": self.states,
            "sandboxes": self.sandboxes,
            "summary": self.summary,
            "drivers": self.drivers,
            "health": self.health,
        }

    async def answer(self, name: str) -> bytes:
        """Return the reply to a query."""
        if name == "links":
            return encode_reply(0, json.dumps(await self.links()))
        answer = self._answers.get(name)
        if answer is None:
            known = ", ".join(["links", *self._answers])
            return encode_reply(1, json.dumps({"error": f"query {name[:40]!r}: one of {known}"}))
        return encode_reply(0, json.dumps(answer()))

    async def links(self) -> dict[str, Any]:
        """Every end on this node as it is now."""
        numbers = {end.nsid for end in self._table.ends() if end.pod_ifindex and end.nsid >= 0}
        known = await asyncio.to_thread(_addresses, numbers)
        ends = self._table.ends()
        counted = await asyncio.gather(*map(self._counted, ends))
        rows = []
        for end, more in zip(ends, counted, strict=True):
            rows.append(self._end(end, known) | more)
            if len(rows) % TURN == 0:
                await asyncio.sleep(0)
        return {"node": self._node, "links": rows}

    def states(self) -> dict[str, Any]:
        """The state of every end, from the table alone: for who asks often."""
        return {"node": self._node, "states": [self._named(end) for end in self._table.ends()]}

    def sandboxes(self) -> dict[str, Any]:
        """Every sandbox on this node, those of pods without a Topology too."""
        return {
            "node": self._node,
            "sandboxes": [self._sandbox(sandbox) for sandbox in self._table.sandboxes.values()],
        }

    def summary(self) -> dict[str, Any]:
        """How many ends there are, and in each state; one that no Topology declares any more is in none."""
        ends = self._table.ends()
        counts = Counter(self._state(end)[0].lower() for end in ends if end.plan is not None)
        return {
            "node": self._node,
            "endpoints": len(ends),
            "sandboxes": len(self._table.sandboxes),
            **{state: counts[state] for state in STATES},
        }

    def drivers(self) -> dict[str, Any]:
        """The drivers as `meshnet drivers` shows them."""
        return {"node": self._node, "drivers": driver_rows(self._registry)}

    def health(self) -> dict[str, Any]:
        """Who answers, whether it has read the store, and what it says of the CNI plugin if it installs that."""
        told = {"node": self._node, "version": __version__, "synced": self._cache.synced.is_set()}
        return {**told, "cni": self._installed()} if self._installed else told

    def _end(self, end: End, known: dict[tuple[int, int], list[str]]) -> dict[str, Any]:
        port = end.port
        return {
            **self._named(end),
            **({"receive_id": end.receive_id} if end.receive_id else {}),
            "addresses": known.get((end.nsid, end.pod_ifindex), []),
            "port": port.name if port else None,
            "port_ifindex": port.ifindex if port else None,
            "spliced_to": port.redirect._asdict() if port and port.redirect else None,
            "offload": port.offload if port else None,
            **(self._inspector.live(end) or {}),
        }

    async def _counted(self, end: End) -> dict[str, Any]:
        """What a driver counts of an end; nothing when it does not, or does not answer."""
        entry = self._registry.find(end.patched_by) if end.patched_by else None
        if entry is None or not isinstance(entry.driver, Counts) or entry.name in self._hanging:
            return {}
        try:
            told = await call(entry.driver, "counters", end.endpoint, limit_s=COUNT_LIMIT_S)
        except LinkError as error:
            if entry.name not in self._cannot_count:  # once: whoever looks at links asks it of each
                log.warning("%s: no counters: %s", end.endpoint, error)
                self._cannot_count.add(entry.name)
            if isinstance(error, Hangs):  # each question would leave one more call that never ends
                self._hanging.add(entry.name)
            return {}
        return {"driver_counters": dict(told)}

    def _named(self, end: End) -> dict[str, Any]:
        """Which end it is, how it is, and of which generation of its Topology."""
        return {
            "namespace": end.endpoint.namespace,
            "pod": end.endpoint.pod,
            "interface": end.endpoint.interface,
            "generation": end.generation,
            **link_status(end, self._carrier.other(end)),
        }

    def _sandbox(self, sandbox: Sandbox) -> dict[str, Any]:
        return {
            "namespace": sandbox.namespace,
            "pod": sandbox.pod,
            "container_id": sandbox.key.container_id,
            "network": sandbox.key.network,
            "netns": sandbox.netns,
            "epoch": sandbox.epoch,
            "current": self._has_pod(sandbox),
            "ports": [end.port.name for end in sandbox.ends.values() if end.port],
        }

    def _has_pod(self, sandbox: Sandbox) -> bool:
        """Whether no other sandbox has its pod, neither here nor on another node."""
        topology = self._cache.topology(sandbox.pod_key)
        taken = topology is not None and superseded(sandbox, topology, self._node)
        return self._table.is_current(sandbox) and not taken

    def _state(self, end: End) -> tuple[str, str, str]:
        return link_state(end, self._carrier.other(end))


def _addresses(numbers: Iterable[int]) -> dict[tuple[int, int], list[str]]:
    """Return the addresses in namespaces with these numbers, by (nsid, ifindex).

    In a thread: a pod gives itself as many as it likes, and reading ten thousand takes half a second.
    """
    # Of a pod that changes them all the time one may be told twice, or not.
    found: defaultdict[tuple[int, int], dict[str, None]] = defaultdict(dict)
    with Netlink.open() as netlink:
        for number in numbers:
            # A namespace that is ending has none.
            with contextlib.suppress(KernelError):
                told = netlink.dump(addresses.dump_addresses(number), steady=False)
                for ifindex, cidr in addresses.parse_addresses(told):
                    found[number, ifindex][cidr] = None
    return {where: list(cidrs) for where, cidrs in found.items()}
