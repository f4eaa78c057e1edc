from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from meshnet.errors import NotFound, StoreUnavailable
from meshnet.model.resource import Kind
from meshnet.stores.kubernetes.calls import Calls, pause
from meshnet.stores.kubernetes.door import Answer, Door, Unreachable
from meshnet.stores.kubernetes.rate import RateLimit
from meshnet.stores.kubernetes.request import Place, Request
from meshnet.stores.kubernetes.store import KubernetesStore
from meshnet.stores.kubernetes.threads import Threads
from tests.stores.kubernetes.server import HANG_UP, Reply, Server, access_to, status

if TYPE_CHECKING:
    from pathlib import Path

    from meshnet.stores.kubernetes.access import Access

R1 = Place(Kind.TOPOLOGY, "default", "r1")
GET, CREATE, STATUS, DELETE = R1.get(), R1.create({}), R1.patch_status({}), R1.delete()
BUSY = Answer(429, b"", 2.0)
GONE = Unreachable("connection reset", sent=True)
REFUSED = Unreachable("connection refused", sent=False)


@pytest.mark.parametrize(
    ("request_", "outcome", "repeated", "least", "most"),
    [
        (GET, GONE, 0, 0.0, 0.0),
        (GET, GONE, 1, 0.2, 0.4),
        (GET, REFUSED, 0, 0.1, 0.2),
        (CREATE, REFUSED, 2, 0.4, 0.8),
        (CREATE, BUSY, 0, 2.0, 2.5),
        (CREATE, Answer(503, b"", 0.0), 0, 0.1, 0.2),
        (STATUS, Answer(503, b""), 0, 0.1, 0.2),
        (STATUS, Answer(500, b"etcd timed out"), 2, 0.4, 0.8),
    ],
)
def test_what_is_sent_again(
    request_: Request, outcome: Answer | Unreachable, repeated: int, least: float, most: float
) -> None:
    delay = pause(request_, outcome, repeated)
    assert delay is not None
    assert least <= delay <= most


@pytest.mark.parametrize(
    ("request_", "outcome"),
    [
        (CREATE, GONE),
        (DELETE, GONE),
        (CREATE, Answer(503, b"")),
        (CREATE, Answer(500, b"", 1.0)),
        *((GET, Answer(code, b"")) for code in (200, 400, 401, 403, 404, 409, 410, 422)),
    ],
)
def test_what_is_not_sent_again(request_: Request, outcome: Answer | Unreachable) -> None:
    assert pause(request_, outcome, 0) is None


def send(access: Access, request: Request) -> Any:
    async def run() -> Any:
        door, threads = Door(access, 2), Threads(2, "test")
        try:
            return await Calls(door, threads, RateLimit()).send(request)
        finally:
            door.close()
            threads.close()

    return asyncio.run(run())


def test_a_server_in_trouble_is_asked_again(tmp_path: Path) -> None:
    found = {"kind": "Topology", "metadata": {}}
    replies = [HANG_UP, Reply(503, "starting"), Reply(429, {}, {"Retry-After": "0"}), Reply(200, found)]
    with Server(*replies) as server:
        assert send(server.access(tmp_path), GET) == found
        assert [asked.path for asked in server.asked] == [GET.path] * 4


def test_but_not_for_ever(tmp_path: Path) -> None:
    with Server(Reply(503, status(503, "ServiceUnavailable", "down for repair"))) as server:
        with pytest.raises(StoreUnavailable, match=f"{server.url} answered 503 to get topologies: down for repair"):
            send(server.access(tmp_path), GET)
        assert len(server.asked) == 4


def test_nor_beyond_the_time_of_a_request(tmp_path: Path) -> None:
    with Server(Reply(429, {}, {"Retry-After": "60"})) as server:
        began = time.monotonic()
        with pytest.raises(StoreUnavailable, match="429"):
            send(server.access(tmp_path), GET)
        assert len(server.asked) == 1
        assert time.monotonic() - began < 10


def test_what_cannot_be_repeated_is_sent_once(tmp_path: Path) -> None:
    with Server(HANG_UP) as server:
        with pytest.raises(StoreUnavailable, match="Topology default/r1: create topologies at the API server http"):
            send(server.access(tmp_path), CREATE)
        assert len(server.asked) == 1


def test_nobody_there(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with pytest.raises(StoreUnavailable, match=f"get topologies at the API server {url}: connection refused"):
        send(access_to(url, tmp_path), GET)


def test_a_server_that_says_nothing(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(StoreUnavailable, match=f"get topologies at the API server {url}: "):
            send(access_to(url, tmp_path), attrs.evolve(GET, limit_s=0.3))


def test_what_a_server_said_before_it_says_nothing_more(tmp_path: Path) -> None:
    """A status that is too large for it takes seconds each time."""
    loaded = Reply(200, {"metadata": {}})  # what a first request waits for besides is no matter here
    too_large = Reply(500, status(500, "", "etcdserver: request is too large"))
    with Server(loaded, too_large, Reply(200, lines=[], hold=True)) as server:
        send(server.access(tmp_path), STATUS)
        with pytest.raises(StoreUnavailable, match="answered 500 to patch topologies/status: etcdserver: request"):
            send(server.access(tmp_path), attrs.evolve(STATUS, limit_s=2.0))
        assert len(server.asked) == 3


@pytest.mark.parametrize("request_", [GET, STATUS, Place(Kind.TOPOLOGY, "").list()], ids=lambda asked: asked.verb)
@pytest.mark.parametrize("body", ["", "<html>", "[]", "5", "{}", '{"metadata": null, "items": null}'])
def test_an_answer_of_somebody_else(tmp_path: Path, body: str, request_: Request) -> None:
    with Server(Reply(200, body)) as server, pytest.raises(StoreUnavailable, match="no JSON object of the API"):
        send(server.access(tmp_path), request_)


@pytest.mark.parametrize("body", [{"items": []}, {"items": [], "metadata": {}}])
def test_a_list_without_a_revision_is_somebody_elses(tmp_path: Path, body: dict[str, Any]) -> None:
    async def listed(store: KubernetesStore) -> None:
        try:
            await store.list(Kind.TOPOLOGY)
        finally:
            await store.close()

    with Server(Reply(200, body)) as server, pytest.raises(StoreUnavailable, match="no JSON object of the API"):
        asyncio.run(listed(KubernetesStore(server.access(tmp_path))))


def test_a_plugin_that_does_not_end_holds_up_no_command_beyond_its_time(tmp_path: Path) -> None:
    """It signs in for kubectl, too: over a network that does not answer, or until somebody has used a browser."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": "cat", "args": [str(path)]}
    held, released = os.open(path, os.O_RDWR), threading.Event()

    def release() -> None:
        released.set()
        os.close(held)

    timer = threading.Timer(5, release)
    timer.start()
    access = access_to("http://127.0.0.1:1", tmp_path, exec={**plugin, "interactiveMode": "Never"})
    with pytest.raises(StoreUnavailable, match=r"no answer in 0\.3 s"):
        send(access, attrs.evolve(GET, limit_s=0.3))
    assert not released.is_set()
    timer.cancel()
    release()


def test_a_refusal_is_our_error(tmp_path: Path) -> None:
    with (
        Server(Reply(404, status(404, "NotFound", kind="topologies", name="r1"))) as server,
        pytest.raises(NotFound),
    ):
        send(server.access(tmp_path), GET)


def test_who_asks_is_known_by_name_and_token(tmp_path: Path) -> None:
    with Server(Reply(200, {"metadata": {}})) as server:
        send(server.access(tmp_path), STATUS)
        (asked,) = server.asked
    headers = {name.lower(): value for name, value in asked.headers.items()}
    assert headers["authorization"] == "Bearer s3cret"
    assert headers["user-agent"].startswith("meshnet/")
    assert (asked.method, headers["content-type"], asked.body) == ("PATCH", "application/merge-patch+json", "{}")
