from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from meshnet.errors import StoreUnavailable
from meshnet.stores.base import Event
from meshnet.stores.kubernetes.store import KubernetesStore
from tests.stores.kubernetes.server import HANG_UP, Reply, Server, status

if TYPE_CHECKING:
    from pathlib import Path

EVENT = Event("Topology lab/r1", "Warning", "DriverMissing", "no wire here", "meshnetd n1")
R1 = Reply(200, {"metadata": {"uid": "u-1", "name": "r1", "namespace": "lab", "resourceVersion": "1"}})
DONE = Reply(200, {})


def record(server: Server, directory: Path, *events: Event) -> list[str]:
    """Record events with one store; return what the server was asked, without the names of its events."""

    async def run() -> None:
        store = KubernetesStore(server.access(directory))
        try:
            await asyncio.gather(*(store.record(event) for event in events))
        finally:
            await store.close()

    asyncio.run(run())
    return [f"{asked.method} {asked.path.partition('?')[0].rpartition('/')[0]}" for asked in server.asked]


EVENTS = "/api/v1/namespaces/lab/events"


def test_a_repetition_is_a_patch_of_the_count(tmp_path: Path) -> None:
    with Server(R1, DONE) as server:
        asked = record(server, tmp_path, EVENT, EVENT, EVENT)
        assert asked[1:] == ["POST /api/v1/namespaces/lab", f"PATCH {EVENTS}", f"PATCH {EVENTS}"]
        bodies = [json.loads(one.body) for one in server.asked[1:]]
    assert bodies[0]["involvedObject"]["uid"] == "u-1"
    assert [body["count"] for body in bodies] == [1, 2, 3]
    names = {one.path.rpartition("/")[2].partition("?")[0] for one in server.asked[2:]}
    assert names == {bodies[0]["metadata"]["name"]}


def test_one_that_the_server_has_forgotten_begins_anew(tmp_path: Path) -> None:
    with Server(R1, DONE) as server:
        record(server, tmp_path, EVENT)
        name = json.loads(server.asked[1].body)["metadata"]["name"]
    assert name.startswith("r1.")

    async def run() -> None:
        store = KubernetesStore(other.access(tmp_path))
        await store.record(EVENT)
        patched = json.loads(other.asked[1].body)["metadata"]["name"]
        other.replies = [Reply(404, status(404, "NotFound", kind="events", name=patched)), DONE]
        await store.record(EVENT)
        await store.close()

    with Server(R1, DONE) as other:
        asyncio.run(run())
        assert [one.method for one in other.asked] == ["GET", "POST", "PATCH", "POST"]
        assert json.loads(other.asked[3].body)["count"] == 1


def test_an_answer_that_was_lost_is_no_second_event(tmp_path: Path) -> None:
    with Server(R1, HANG_UP, Reply(409, status(409, "AlreadyExists")), DONE) as server:
        asked = record(server, tmp_path, EVENT, EVENT)
        assert [one.partition(" ")[0] for one in asked] == ["GET", "POST", "POST", "PATCH"]


def test_a_namespace_that_is_going_is_no_fault_of_the_event(tmp_path: Path) -> None:
    going = status(403, "Forbidden", "no more", causes=[{"reason": "NamespaceTerminating"}])
    with Server(R1, Reply(403, going)) as server, pytest.raises(StoreUnavailable, match="being deleted"):
        record(server, tmp_path, EVENT)
