"""Status: what a user reads in a Topology, and by which peers find a pod. Composed here; `writer` writes it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from meshnet.model.timestamps import stamp
from meshnet.reconcile.fitting import CUT, same_text
from meshnet.reconcile.linkstate import DOWN, FAILED, PENDING, UP, link_state

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from meshnet.model.topology import Endpoint, Link, Topology
    from meshnet.reconcile.cache import Entry
    from meshnet.reconcile.end import End
    from meshnet.reconcile.remote import FarEnd
    from meshnet.reconcile.sandbox import Sandbox


def link_status(end: End, peer: End | FarEnd | None) -> dict[str, Any]:
    """Return the entry of `status.links` for an end."""
    state, reason, message = link_state(end, peer)
    plan = end.plan
    entry = {
        "local_intf": end.endpoint.interface,
        "uid": end.applied.uid,
        "state": state,
        "reason": reason,
        "message": message,
        "driver": plan.driver.name if plan and plan.driver else "",
        "why": plan.why if plan else "",
    }
    if plan is not None and plan.peer is not None:
        entry |= {"peer_pod": plan.peer.pod, "peer_intf": plan.peer.interface, "peer_node": plan.node}
    elif plan is not None:
        entry |= {"peer_pod": "localhost", "peer_intf": plan.parent}
    return entry


def _not_made(link: Link) -> dict[str, Any]:
    """Return the entry for a link that the running pod has no interface for."""
    message = "the running pod has no such interface; it comes with the pod's next start"
    return _as_declared(link, FAILED, "RestartPod", message)


def _not_settled(link: Link) -> dict[str, Any]:
    """Return the entry for a link that has just been declared again: its end is still as without it."""
    return _as_declared(link, PENDING, "NotObserved", "the node's daemon has not looked at it yet")


def _as_declared(link: Link, state: str, reason: str, message: str) -> dict[str, Any]:
    return {
        "local_intf": link.local_intf,
        "uid": link.uid,
        "state": state,
        "reason": reason,
        "message": message,
        "driver": "",
        "why": "",
        "peer_pod": link.peer_pod,
        "peer_intf": link.peer_intf,
    }


def ready_condition(
    entries: Sequence[Mapping[str, Any]], entry: Entry, before: Iterable[Mapping[str, Any]], now: float
) -> dict[str, Any]:
    """Return the condition Ready: the Topology valid and every link Up, or Down by its own `down`; no links is ready.

    `entries` are those of `status.links`, `entry` is the Topology, `before` are the conditions as they stand.
    """
    waiting = [link for link in entries if not _is_ready(link)]
    status = "False" if waiting or entry.invalid else "True"
    reason = str(waiting[0]["reason"]) if waiting else "LinksReady"
    message = "; ".join(f"{link['local_intf']}: {link['message']}" for link in waiting[:8])
    if entry.invalid is not None:
        reason, message = "InvalidTopology", str(entry.invalid)
    return {
        "type": "Ready",
        "status": status,
        "reason": reason,
        "message": message or f"{len(entries)} links ready",
        "observedGeneration": entry.resource.generation,
        "lastTransitionTime": _since(status, before) or stamp(now),
    }


def _since(status: str, before: Iterable[Mapping[str, Any]]) -> Any:
    """Return since when the condition Ready has that status, by the conditions as they stand; None: from now on."""
    stands = (old for old in before if (old.get("type"), old.get("status")) == ("Ready", status))
    return next((old.get("lastTransitionTime") for old in stands), None)


def _is_ready(link: Mapping[str, Any]) -> bool:
    return link["state"] in (UP, DOWN)


def all_up(sandbox: Sandbox, entry: Entry | None, other: Callable[[End], End | FarEnd | None]) -> bool:
    """Tell whether every link is up as its Topology has it by now: an edit may not have been acted on yet."""
    generation = entry.resource.generation if entry is not None else None
    declared = entry.topology.links if entry is not None and entry.topology is not None else ()
    return all(link.local_intf in sandbox.ends for link in declared) and all(
        link_state(end, other(end))[0] in (UP, DOWN) and generation in (None, end.generation)
        for end in sandbox.ends.values()
    )


def compose(
    sandbox: Sandbox,
    entry: Entry,
    *,
    other: Callable[[End], End | FarEnd | None],
    receive_id: Callable[[Endpoint], int],
    node: str,
    node_ip: str,
) -> dict[str, Any]:
    """Return the status of a running pod's Topology, whole.

    Args:
        sandbox: of the pod.
        entry: the Topology as stored.
        other: gives the other end of a link.
        receive_id: gives an endpoint's receive identifier.
        node: this one.
        node_ip: where peers reach it.

    Raises what `receive_id` does.
    """
    before = entry.resource.status
    entries = list(_entries(sandbox, entry.topology, other, receive_id))
    return {
        "src_ip": node_ip,
        "net_ns": sandbox.netns,
        "container_id": sandbox.key.container_id,
        "node": node,
        "pod_uid": sandbox.pod_uid,
        "epoch": sandbox.epoch,
        "observedGeneration": entry.resource.generation,
        "links_ready": f"{sum(map(_is_ready, entries))}/{len(entries)}",
        "links": entries,
        "conditions": [
            ready_condition(entries, entry, rows(before, "conditions"), time.time()),
            *foreign_conditions(before),
        ],
    }


def _entries(
    sandbox: Sandbox,
    topology: Topology | None,
    other: Callable[[End], End | FarEnd | None],
    receive_id: Callable[[Endpoint], int],
) -> Iterator[dict[str, Any]]:
    """Yield the entries of `status.links`; of a Topology that was never seen valid, those of what the pod has."""
    if topology is None:
        yield from (link_status(end, other(end)) for end in sandbox.ends.values())
        return
    for link in topology.links:
        end = sandbox.ends.get(link.local_intf)
        if end is None:
            yield _not_made(link)
            continue
        status = link_status(end, other(end)) if end.plan is not None else _not_settled(link)
        if not link.external:
            status["receive_id"] = receive_id(end.endpoint)
        yield status


def covers(status: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Tell whether a status already says all that."""
    return all(status.get(field) == value for field, value in wanted.items())


def cleared(before: Mapping[str, Any]) -> dict[str, Any]:
    """Return the merge patch for a Topology whose pod runs no more: owner and links go, the epoch stays."""
    condition = {
        "type": "Ready",
        "status": "False",
        "reason": "PodNotRunning",
        "message": "the pod is not running",
        "observedGeneration": before.get("observedGeneration", 0),
        "lastTransitionTime": _since("False", rows(before, "conditions")) or stamp(),
    }
    gone = dict.fromkeys(("src_ip", "net_ns", "container_id", "node", "pod_uid", "links_ready", "links"))
    return {**gone, "conditions": [condition, *foreign_conditions(before)]}


def foreign_conditions(before: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the conditions that others have written: they stay as they are."""
    return [row for row in rows(before, "conditions") if row.get("type") != "Ready"]


def failures(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return (reason, message) of what a user should hear of: links that newly fail, and a Topology newly invalid.

    What `before` tells cut, since there was no room for it, is not new when it is told whole.
    """
    known = {_place(entry): str(entry.get("message", CUT)) for entry in rows(before, "links") if _failed(entry)}
    failed = [(_place(entry), entry) for entry in after["links"] if _failed(entry)]
    news = [
        (str(entry["reason"]), f"link {entry['uid']} ({entry['local_intf']}): {entry['message']}")
        for place, entry in failed
        if place not in known or not same_text(known[place], entry["message"])
    ]
    ready = after["conditions"][0]
    told = [str(old.get("message")) for old in rows(before, "conditions")]
    if ready["reason"] == "InvalidTopology" and not any(same_text(old, ready["message"]) for old in told):
        news.append((ready["reason"], ready["message"]))
    return news


def rows(status: Mapping[str, Any], field: str) -> list[Mapping[str, Any]]:
    """Return the entries of a list in a status, without what somebody else put there that is none."""
    found = status.get(field)
    return [row for row in found if isinstance(row, Mapping)] if isinstance(found, list) else []


def _failed(entry: Mapping[str, Any]) -> bool:
    return entry.get("state") == FAILED


def _place(entry: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return which link fails, and by what."""
    return str(entry.get("uid")), str(entry.get("local_intf")), str(entry.get("reason"))
