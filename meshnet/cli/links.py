"""The links of a store as a user sees them: one entry a link, both ends joined, with what the daemons say now."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

import attrs

from meshnet.cli.lost import with_losses
from meshnet.model.topology import LOCALHOST

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from meshnet.model.resource import Resource

STATES = ("Up", "Down", "Pending", "Failed")
"""From best to worst; a link is as its worse end."""

STATUS_FIELDS = ("state", "reason", "message", "driver", "why")
"""How an end is: its daemon writes it into `status.links`, and answers it."""

LIVE_FIELDS = ("carrier", "up", "mtu", "mac", "addresses", "port", "receive_id", "counters", "driver_counters")
"""What the daemon of an end's node answers; the store does not know it."""

Entry = dict[str, Any]


@attrs.frozen
class End:
    """One entry of `spec.links`, and what its node's daemon wrote about it.

    Attributes:
        observed: whether that is of the spec as it is now.
        entry: of `status.links`, or what stands in for it.
        generation: of the Topology.
        row: what that node's daemon answers of this place now; None where it was not reached.
    """

    namespace: str
    pod: str
    interface: str
    uid: int
    peer_pod: str
    peer_interface: str
    node: str
    observed: bool
    entry: Mapping[str, Any]
    generation: int = 0
    row: Mapping[str, Any] | None = None

    @property
    def external(self) -> bool:
        return self.peer_pod == LOCALHOST

    @property
    def declared(self) -> Mapping[str, Any]:
        """What tells it from other ends, by the fields of `spec.links`."""
        return {
            "local_intf": self.interface,
            "uid": self.uid,
            "peer_pod": self.peer_pod,
            "peer_intf": self.peer_interface,
        }

    @property
    def link(self) -> tuple[str, int, tuple[tuple[str, str], ...]]:
        """What identifies the link: namespace, uid, the two endpoints."""
        own, peer = (self.pod, self.interface), (self.peer_pod, self.peer_interface)
        return self.namespace, self.uid, (own, peer) if self.external else tuple(sorted((own, peer)))

    @property
    def state(self) -> str:
        return str(self.entry.get("state") or "Pending")


def ends(topologies: Iterable[Resource]) -> list[End]:
    """Return every end that the Topologies declare, in their order."""
    return [end for topology in topologies for end in _ends(topology)]


def _ends(topology: Resource) -> Iterator[End]:
    told: defaultdict[object, list[Mapping[str, Any]]] = defaultdict(list)
    for entry in topology.status.get("links") or ():
        told[entry.get("local_intf")].append(entry)
    for link in topology.spec.get("links") or ():
        about = (entry for entry in told[link.get("local_intf")] if _is_about(entry, link))
        yield _end(topology, link, next(about, None))


def _end(topology: Resource, link: Mapping[str, Any], told: Mapping[str, Any] | None) -> End:
    status = topology.status
    observed = int(status.get("observedGeneration") or 0) >= topology.generation
    node = str(status.get("node") or "")
    return End(
        namespace=topology.namespace,
        pod=topology.name,
        interface=str(link.get("local_intf") or ""),
        uid=int(link.get("uid") or 0),
        peer_pod=str(link.get("peer_pod") or ""),
        peer_interface=str(link.get("peer_intf") or ""),
        node=node,
        observed=observed and told is not None,
        entry=told if told is not None and node else _untold(topology, node),
        generation=topology.generation,
    )


def _is_about(entry: Mapping[str, Any], link: Mapping[str, Any]) -> bool:
    # an entry without a peer tells why none was looked for
    fields = ("local_intf", "uid", "peer_pod", "peer_intf")
    return all(entry.get(field, link.get(field)) == link.get(field) for field in fields)


def _untold(topology: Resource, node: str) -> Entry:
    if not node:
        message = f"pod {topology.namespace}/{topology.name} runs on no node"
        return {"state": "Pending", "reason": "PodNotRunning", "message": message}
    return {"state": "Pending", "reason": "NotObserved", "message": f"the daemon of node {node} has not reported yet"}


def join(ends_: Sequence[End], answers: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[Entry]:
    """Return one entry a link, ordered by namespace and endpoints.

    Args:
        ends_: of all Topologies.
        answers: by node, the answer of its daemon to the query ``links``; nodes not reached are not in it.
    """
    together: dict[tuple[str, int, tuple[tuple[str, str], ...]], list[End]] = {}
    for end in as_known(ends_, answers):
        together.setdefault(end.link, []).append(end)
    keys = sorted(together, key=lambda key: (key[0], [tuple(map(_by_number, place)) for place in key[2]], key[1]))
    return [_entry(key[2], together[key]) for key in keys]


def as_known(ends_: Iterable[End], answers: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[End]:
    """Return ends as all that is known now has them: their daemons' answers, their peers' losses, who is declared.

    A pod may be known to two daemons: the node that lost it to another one tells of it until it hears of that.

    Args:
        ends_: of all Topologies.
        answers: by node, the answer of its daemon to the query ``links`` or ``states``.
    """
    rows = {
        node: {(row["namespace"], row["pod"], row["interface"]): row for row in answer}
        for node, answer in answers.items()
    }
    now = [_as_now(end, rows[end.node]) if end.node in rows else end for end in ends_]
    return _truthful(with_losses(now, answers.keys()))


def badness(state: str) -> int:
    """Return a key that sorts states from best to worst; one that a later release wrote is the worst."""
    return STATES.index(state) if state in STATES else len(STATES)


def _by_number(name: str) -> list[tuple[int, str]]:
    """Return a key that sorts eth2 before eth10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name) if part]


def _as_now(end: End, rows: Mapping[tuple[str, str, str], Mapping[str, Any]]) -> End:
    """Return an end as its daemon sees it now: what that wrote about it may be some seconds old.

    A daemon that knows another link by that name is not believed.
    """
    row = rows.get((end.namespace, end.pod, end.interface), {})
    if "state" not in row or not _is_about(row, end.declared):
        return attrs.evolve(end, row=row)
    entry = {field: row[field] for field in STATUS_FIELDS if row.get(field)}
    return attrs.evolve(end, row=row, entry=entry, observed=int(row.get("generation") or 0) >= end.generation)


def _truthful(ends_: Sequence[End]) -> list[End]:
    """Return the ends, those that are the only ones of their links without the state that they had with another.

    A deleted Topology is gone at once; the status of its peer follows within seconds.
    """
    declared = Counter(end.link for end in ends_)
    return [end if declared[end.link] > 1 or end.external else _alone(end) for end in ends_]


def _alone(end: End) -> End:
    if end.state not in ("Up", "Down"):
        return end
    message = f"no Topology declares {end.namespace}/{end.peer_pod}:{end.peer_interface}"
    return attrs.evolve(end, entry={**end.entry, "state": "Pending", "reason": "PeerMissing", "message": message})


def _entry(places: Sequence[tuple[str, str]], ends_: Sequence[End]) -> Entry:
    worst = max(ends_, key=lambda end: badness(end.state))
    found: Entry = {
        "namespace": worst.namespace,
        "uid": worst.uid,
        "driver": next((end.entry["driver"] for end in ends_ if end.entry.get("driver")), None),
        "why": next((end.entry["why"] for end in ends_ if end.entry.get("why")), None),
        "state": worst.state,
    }
    if worst.state != "Up":
        found |= {field: worst.entry[field] for field in ("reason", "message") if worst.entry.get(field)}
    elif lacking := [f"{end.pod}:{end.interface}: {told}" for end in ends_ for told in _lacking(end)]:
        found["message"] = "; ".join(lacking)
    if worst.external:
        found["parent"] = worst.peer_interface
        places = places[:1]
    by_place = {(end.pod, end.interface): end for end in ends_}
    found["endpoints"] = [_endpoint(place, by_place.get(place)) for place in places]
    return found


def _lacking(end: End) -> Iterator[str]:
    """Yield what a user may miss at an end of a link that is up."""
    if end.row is not None and end.row.get("up") is False:
        yield "its pod has set it down"
    if end.entry.get("message"):
        yield end.entry["message"]


def _endpoint(place: tuple[str, str], end: End | None) -> Entry:
    found: Entry = {"pod": place[0], "interface": place[1]}
    if end is None:
        return found
    found |= {"node": end.node or None, "state": end.state}
    if end.state != "Up" and end.entry.get("reason"):
        found["reason"] = end.entry["reason"]
    if end.row is None:
        return found | ({"stale": True} if end.node else {})
    return found | {field: end.row[field] for field in LIVE_FIELDS if field in end.row}
