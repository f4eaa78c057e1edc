"""The table of sandboxes and ends on this node, found by whatever one has in hand."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Generic, TypeVar

from meshnet.driver.api import Device
from meshnet.model.topology import MAX_EPOCH, PodKey

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshnet.driver.api import Splice
    from meshnet.model.topology import Claim, Endpoint
    from meshnet.reconcile.end import End
    from meshnet.reconcile.sandbox import Sandbox, SandboxKey

Of = TypeVar("Of")


class _Groups(Generic[Of]):
    """Endpoints by what they have in common, each in one group at most."""

    def __init__(self) -> None:
        self._members: defaultdict[Of, set[Endpoint]] = defaultdict(set)
        self._group: dict[Endpoint, Of] = {}

    def put(self, endpoint: Endpoint, group: Of | None) -> None:
        """Take an endpoint out of the group that it is in, and put it into this one; None: into none."""
        before = self._group.pop(endpoint, None)
        if before is not None and before != group:
            self._members[before].discard(endpoint)
            if not self._members[before]:
                del self._members[before]
        if group is not None:
            self._group[endpoint] = group
            self._members[group].add(endpoint)

    def of(self, group: Of) -> frozenset[Endpoint]:
        return frozenset(self._members.get(group, ()))


class Table:
    """Sandboxes by key, and the ends of those that are their pod's current one.

    Args:
        node: this one.
        forgotten: called with each endpoint that has no end any more.
    """

    def __init__(self, node: str = "", forgotten: Callable[[Endpoint], None] = lambda _: None) -> None:
        self.node = node
        self._forgotten = forgotten
        self.sandboxes: dict[SandboxKey, Sandbox] = {}
        self._current: dict[PodKey, Sandbox] = {}
        self._ends: dict[Endpoint, End] = {}
        self._by_port: dict[int, End] = {}
        self._by_pod_end: dict[tuple[int, int], End] = {}
        self._toward: _Groups[PodKey] = _Groups()
        self._facing: _Groups[Endpoint] = _Groups()
        self._by_device: _Groups[int] = _Groups()

    def add(self, sandbox: Sandbox) -> Sandbox | None:
        """Make a sandbox its pod's current one; return the one it takes the pod over from."""
        self.sandboxes[sandbox.key] = sandbox
        if not sandbox.pod:
            return None
        before = self._current.get(sandbox.pod_key)
        if before is sandbox:
            return None
        if before is not None:
            for end in before.ends.values():
                self.forget(end)
        self._current[sandbox.pod_key] = sandbox
        for end in sandbox.ends.values():
            self.enter(end)
        return before

    def remove(self, sandbox: Sandbox) -> None:
        """Take a sandbox out with its ends; ends of a newer sandbox of the same pod stay."""
        self.sandboxes.pop(sandbox.key, None)
        for end in sandbox.ends.values():
            self.forget(end)
        if self._current.get(sandbox.pod_key) is sandbox:
            del self._current[sandbox.pod_key]

    def enter(self, end: End) -> None:
        """Put an end in, or note its new port or interface."""
        self._ends[end.endpoint] = end
        if end.port is not None:
            self._by_port[end.port.ifindex] = end
        if end.pod_ifindex:
            self._by_pod_end[end.nsid, end.pod_ifindex] = end

    def forget(self, end: End) -> None:
        """Take an end out, if it is still the one in the table."""
        if self._ends.get(end.endpoint) is end:
            del self._ends[end.endpoint]
            self.head(end.endpoint, None)
            self.spliced(end.endpoint, None)
            self._forgotten(end.endpoint)
        self.detach(end)

    def detach(self, end: End) -> None:
        """Forget an end's port or interface, which is going away or moving."""
        if end.port is not None and self._by_port.get(end.port.ifindex) is end:
            del self._by_port[end.port.ifindex]
        if self._by_pod_end.get((end.nsid, end.pod_ifindex)) is end:
            del self._by_pod_end[end.nsid, end.pod_ifindex]

    def has(self, sandbox: Sandbox) -> bool:
        """Tell whether a sandbox was taken in and has not been removed."""
        return self.sandboxes.get(sandbox.key) is sandbox

    def current(self, pod: PodKey) -> Sandbox | None:
        """Return the sandbox that is the pod's now."""
        return self._current.get(pod)

    def is_current(self, sandbox: Sandbox) -> bool:
        """Tell whether a sandbox is its pod's now."""
        return self._current.get(sandbox.pod_key) is sandbox

    def has_claimed(self, pod: PodKey, claim: Claim) -> bool:
        """Tell whether a claim is that of the sandbox which has the pod here."""
        sandbox = self._current.get(pod)
        told = (claim.node, claim.container_id, claim.epoch)
        return sandbox is not None and told == (self.node, sandbox.key.container_id, sandbox.epoch)

    def newest(self, pod: PodKey, *, but: Sandbox | None = None) -> Sandbox | None:
        """Return the newest of a pod's sandboxes here, also one that the pod was taken from, but for one."""
        its = (sandbox for sandbox in self.sandboxes.values() if sandbox.pod_key == pod and sandbox is not but)
        return max(its, key=lambda sandbox: sandbox.epoch, default=None)

    def next_epoch(self, pod: PodKey) -> int:
        """Return an epoch above those of a pod's sandboxes here: by it the newest is told, whatever the Topology says.

        Also of one whose DEL is still to come after its successor's.
        """
        newest = self.newest(pod)
        return 0 if newest is None else min(newest.epoch + 1, MAX_EPOCH)

    def end(self, endpoint: Endpoint | None) -> End | None:
        return self._ends.get(endpoint) if endpoint is not None else None

    def ends(self) -> list[End]:
        return list(self._ends.values())

    def by_port(self, ifindex: int) -> End | None:
        return self._by_port.get(ifindex)

    def by_pod_end(self, nsid: int, ifindex: int) -> End | None:
        return self._by_pod_end.get((nsid, ifindex))

    def head(self, endpoint: Endpoint, peer: Endpoint | None) -> None:
        """Note where an end's link leads to."""
        self._toward.put(endpoint, peer.pod_key if peer is not None else None)
        self._facing.put(endpoint, peer)

    def toward(self, pod: PodKey) -> frozenset[Endpoint]:
        """Return the ends on this node whose links lead to a pod."""
        return self._toward.of(pod)

    def facing(self, peer: Endpoint) -> frozenset[Endpoint]:
        """Return the ends on this node whose links lead to that very end; all but one of them in vain."""
        return self._facing.of(peer)

    def spliced(self, endpoint: Endpoint, splice: Splice | None) -> None:
        """Note what an end's port was spliced to."""
        self._by_device.put(endpoint, splice.ifindex if isinstance(splice, Device) else None)

    def by_device(self, ifindex: int) -> list[Endpoint]:
        """Return the ends whose ports are spliced to a device."""
        ends = map(self.end, self._by_device.of(ifindex))
        return [end.endpoint for end in ends if end is not None and end.splice == Device(ifindex)]
