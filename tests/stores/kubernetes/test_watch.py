from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from meshnet.errors import StoreUnavailable, WatchExpired
from meshnet.model.resource import API_VERSION, Kind
from meshnet.stores.base import Change
from meshnet.stores.kubernetes import outage, watch
from meshnet.stores.kubernetes.store import KubernetesStore
from tests.stores.kubernetes.server import HANG_UP, Reply, Server, status

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
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
            async with contextlib.aclosing(store.watch(Kind.TOPOLOGY, since)) as found:
                while len(seen) < events:
                    seen.append(await asyncio.wait_for(anext(found), 15))
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


class Pause:
    """Lines that do not come, for a while."""

    def __iter__(self) -> Iterator[Any]:
        time.sleep(0.1)
        yield from ()


BROKEN = {"type": "ERROR", "object": status(500, "InternalError"), "metadata": {"resourceVersion": "5"}, "items": []}
"""A watch's line, and in the same words the answer to the question where the server stands."""


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that a watch waits for is shorter by as much."""
    monkeypatch.setattr(outage, "FIRST_DELAY_S", 0.01)
    monkeypatch.setattr(outage, "LONGEST_DELAY_S", 0.08)
    monkeypatch.setattr(outage, "PATIENCE_S", 0.5)
    monkeypatch.setattr(watch, "LIVED_S", 0.08)


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("lines", [[], [BROKEN]], ids=["ended", "ended by an error"])
def test_a_watch_that_is_taken_on_and_breaks_at_once_is_dialled_ever_later_and_given_up(
    tmp_path: Path, lines: list[Any]
) -> None:
    with Server(at(5), Reply(lines=lines)) as server:
        with pytest.raises(StoreUnavailable, match=r"ended too early|answered 500"):
            follow(server, tmp_path, 1)
        assert len(watched(server)) < 20


@pytest.mark.usefixtures("hurried")
def test_a_quiet_watch_whose_connections_live_for_a_while_goes_on(tmp_path: Path) -> None:
    quiet = [Reply(lines=Pause())] * 8
    with Server(at(5), *quiet, Reply(lines=[told("ADDED", 6)], hold=True)) as server:
        assert [event.revision for event in follow(server, tmp_path, 1)] == ["6"]


@pytest.mark.usefixtures("hurried")
def test_a_watch_that_brings_something_each_time_goes_on(tmp_path: Path) -> None:
    brief = [Reply(lines=[told("MODIFIED", revision)]) for revision in range(6, 90)]
    with Server(at(5), *brief, Reply(lines=[told("MODIFIED", 90)], hold=True)) as server:
        assert follow(server, tmp_path, 85)[-1].revision == "90"


def test_a_server_that_is_too_busy_is_left_alone_for_as_long_as_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []

    async def wait(_: watch.Watch, delay_s: float) -> None:
        waits.append(delay_s)

    monkeypatch.setattr(watch.Watch, "_wait", wait)
    busy = Reply(429, status(429, "TooManyRequests"), {"Retry-After": "5"})
    end = Reply(lines=[told("MODIFIED", 7)], hold=True)
    with Server(at(5), Reply(lines=[told("ADDED", 6)]), busy, at(6), end) as server:
        assert [event.revision for event in follow(server, tmp_path, 2)] == ["6", "7"]
    assert 5 <= waits[-1] < 7


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
        found = store.watch(Kind.TOPOLOGY, since)
        assert (await anext(found)).revision == "6"
        waiting = asyncio.create_task(anext(found))
        while len(server.asked) < 4:  # noqa: ASYNC110  (by other threads)
            await asyncio.sleep(0.01)
        await store.close()
        with pytest.raises(StoreUnavailable, match="closed"):
            await asyncio.wait_for(waiting, 5)

    with Server(at(5), Reply(lines=[told("ADDED", 6)]), HANG_UP) as server:
        asyncio.run(run())
