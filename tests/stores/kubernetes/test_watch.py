from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from meshnet.errors import StoreUnavailable, WatchExpired
from meshnet.model.resource import API_VERSION, Kind
from meshnet.stores.base import Change
from meshnet.stores.kubernetes.store import KubernetesStore
from tests.stores.kubernetes.server import HANG_UP, Reply, Server, status

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from meshnet.stores.base import WatchEvent


def told(type_: str, revision: int, name: str = "r1") -> dict[str, Any]:
    metadata = {"name": name, "namespace": "default", "resourceVersion": str(revision), "uid": "u"}
    metadata["managedFields"] = [{"manager": "kubectl"}]  # type: ignore[assignment]
    return {"type": type_, "object": {"apiVersion": API_VERSION, "kind": "Topology", "metadata": metadata}}


def at(revision: int) -> Reply:
    """The answer to the question where the server stands, and to a list."""
    return Reply(200, {"metadata": {"resourceVersion": str(revision)}, "items": []})


def watched(server: Server) -> list[str]:
    """The revisions that watches were begun from."""
    queries = [parse_qs(urlsplit(asked.path).query) for asked in server.asked]
    return [query["resourceVersion"][0] for query in queries if "watch" in query]


def follow(server: Server, directory: Path, events: int) -> Sequence[WatchEvent]:
    """The first events of a watch that begins where a list ends."""

    async def run() -> Sequence[WatchEvent]:
        store, seen = KubernetesStore(server.access(directory)), []
        try:
            since = (await store.list(Kind.TOPOLOGY)).revision
            async with contextlib.aclosing(store.watch(Kind.TOPOLOGY, since)) as watch:
                while len(seen) < events:
                    seen.append(await asyncio.wait_for(anext(watch), 15))
        finally:
            await store.close()
        return seen

    return asyncio.run(run())


def test_events_are_told_without_the_servers_own_notes(tmp_path: Path) -> None:
    bookmark = {"type": "BOOKMARK", "object": {"kind": "Topology", "metadata": {"resourceVersion": "9"}}}
    lines = [told("ADDED", 6), told("MODIFIED", 7), told("DELETED", 8), bookmark]
    with Server(at(5), Reply(lines=lines, hold=True)) as server:
        events = follow(server, tmp_path, 4)
    assert [(event.change, event.revision) for event in events] == [
        (Change.ADDED, "6"),
        (Change.MODIFIED, "7"),
        (Change.DELETED, "8"),
        (Change.BOOKMARK, "9"),
    ]
    assert events[0].resource is not None
    assert "managedFields" not in events[0].resource.metadata
    assert events[3].resource is None


def test_a_watch_that_the_server_ends_goes_on_from_there(tmp_path: Path) -> None:
    replies = [at(5), Reply(lines=[told("ADDED", 6)]), Reply(lines=[told("MODIFIED", 7)], hold=True)]
    with Server(*replies) as server:
        assert [event.revision for event in follow(server, tmp_path, 2)] == ["6", "7"]
        assert watched(server) == ["5", "6"]


@pytest.mark.parametrize(
    "trouble",
    [
        [HANG_UP, at(6)],
        [Reply(500, "starting"), at(6)],
        [Reply(lines=[{"type": "ERROR", "object": status(500, "InternalError")}]), at(6)],
    ],
    ids=["unanswered", "refused", "ended by an error"],
)
def test_a_watch_that_is_lost_is_dialled_again(tmp_path: Path, trouble: list[Reply]) -> None:
    end = Reply(lines=[told("MODIFIED", 7)], hold=True)
    with Server(at(5), Reply(lines=[told("ADDED", 6)]), *trouble, end) as server:
        assert [event.revision for event in follow(server, tmp_path, 2)] == ["6", "7"]
        assert watched(server) == ["5", "6", "6"]


@pytest.mark.parametrize(
    "forgotten",
    [Reply(410, status(410, "Expired")), Reply(lines=[{"type": "ERROR", "object": status(410, "Expired")}])],
)
def test_a_place_that_is_forgotten(tmp_path: Path, forgotten: Reply) -> None:
    with (
        Server(at(5), Reply(lines=[told("ADDED", 6)]), forgotten) as server,
        pytest.raises(WatchExpired, match="list again"),
    ):
        follow(server, tmp_path, 2)


def test_a_server_that_was_put_back_to_an_older_state(tmp_path: Path) -> None:
    """It would wait until it has come as far again, and until then say nothing."""
    with (
        Server(at(5), Reply(lines=[told("ADDED", 600)]), HANG_UP, at(30)) as server,
        pytest.raises(WatchExpired, match="revision 600 is none of the API server, which is at 30"),
    ):
        follow(server, tmp_path, 2)


def test_a_watch_that_never_began_is_not_dialled_again(tmp_path: Path) -> None:
    with Server(at(5), Reply(403, status(403, "Forbidden"))) as server:
        with pytest.raises(StoreUnavailable, match="may not watch topologies: an RBAC rule"):
            follow(server, tmp_path, 1)
        assert len(server.asked) == 2


def test_stopping_ends_the_thread_and_the_connection(tmp_path: Path) -> None:
    with Server(at(5), Reply(lines=[told("ADDED", 6)], hold=True)) as server:
        follow(server, tmp_path, 1)
        for thread in threading.enumerate():
            if thread.name.startswith(("watch", "kubernetes")):
                thread.join(5)
                assert not thread.is_alive()
        assert not server.released.is_set()


def test_a_closed_store_ends_a_watch_that_waits_to_dial(tmp_path: Path) -> None:
    async def run() -> None:
        store = KubernetesStore(server.access(tmp_path))
        since = (await store.list(Kind.TOPOLOGY)).revision
        watch = store.watch(Kind.TOPOLOGY, since)
        assert (await anext(watch)).revision == "6"
        waiting = asyncio.create_task(anext(watch))
        while len(server.asked) < 4:  # noqa: ASYNC110  (by other threads)
            await asyncio.sleep(0.01)
        await store.close()
        with pytest.raises(StoreUnavailable, match="closed"):
            await asyncio.wait_for(waiting, 5)

    with Server(at(5), Reply(lines=[told("ADDED", 6)]), HANG_UP) as server:
        asyncio.run(run())
