from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest

from meshnet.errors import StoreUnavailable
from meshnet.model.resource import Kind
from meshnet.stores.kubernetes.access import Access
from meshnet.stores.kubernetes.door import Answer, Door, Feed, Unreachable, _Token
from meshnet.stores.kubernetes.request import Place
from tests.stores.kubernetes.server import HANG_UP, Reply, Server, access_to

if TYPE_CHECKING:
    from pathlib import Path

GET = Place(Kind.TOPOLOGY, "default", "r1").get()
WATCH = Place(Kind.TOPOLOGY, "").watch("1", 300)


def test_connections_are_kept(tmp_path: Path) -> None:
    with Server(Reply(200, {"a": 1})) as server:
        door = Door(server.access(tmp_path), 2)
        assert [door.ask(GET) for _ in range(3)] == [Answer(200, b'{"a": 1}')] * 3
        ports = {asked.headers["Host"] for asked in server.asked}
        assert len(ports) == 1
        door.close()


def test_a_watch_comes_bit_by_bit_and_ends(tmp_path: Path) -> None:
    with Server(Reply(lines=[{"n": 1}, {"n": 2}])) as server:
        door = Door(server.access(tmp_path), 2)
        feed = door.watch(WATCH)
        assert isinstance(feed, Feed)
        assert list(feed.chunks()) == [b'{"n": 1}\n', b'{"n": 2}\n']
        feed.stop()  # too late, and no harm
        door.close()


def test_a_watch_that_waits_is_stopped_from_another_thread(tmp_path: Path) -> None:
    with Server(Reply(lines=[{"n": 1}], hold=True)) as server:
        door = Door(server.access(tmp_path), 2)
        feed = door.watch(WATCH)
        assert isinstance(feed, Feed)
        chunks = feed.chunks()
        assert next(chunks) == b'{"n": 1}\n'
        timer = threading.Timer(0.1, feed.stop)
        timer.start()
        with pytest.raises(Unreachable):
            next(chunks)
        assert not server.released.is_set()
        timer.join()
        door.close()


def test_a_watch_that_is_refused(tmp_path: Path) -> None:
    with Server(Reply(410, {"code": 410})) as server:
        door = Door(server.access(tmp_path), 2)
        assert door.watch(WATCH) == Answer(410, b'{"code": 410}')
        door.close()


def test_a_watch_that_is_not_answered(tmp_path: Path) -> None:
    with Server(HANG_UP) as server:
        door = Door(server.access(tmp_path), 2)
        with pytest.raises(Unreachable):
            door.watch(WATCH)
        door.close()


def test_a_proxy_that_is_not_there_is_not_taken_for_the_server(tmp_path: Path) -> None:
    file = access_to("http://10.255.255.1", tmp_path).kubeconfig
    door = Door(Access(file, environ={"HTTP_PROXY": "http://127.0.0.1:1"}), 2)
    for ask in (lambda: door.ask(GET), lambda: door.watch(WATCH)):
        with pytest.raises(Unreachable, match=r"^by a proxy: connection refused$"):
            ask()


def test_a_proxy_that_refuses_is_told_in_its_words(tmp_path: Path) -> None:
    with Server(Reply(407, {})) as proxy:
        file = access_to("https://10.255.255.1", tmp_path).kubeconfig
        door = Door(Access(file, environ={"HTTPS_PROXY": proxy.url}), 2)
        with pytest.raises(Unreachable, match=r"^by a proxy: Tunnel connection failed: "):
            door.ask(GET)


def test_a_closed_door_sends_nothing(tmp_path: Path) -> None:
    with Server(Reply(200, {})) as server:
        door = Door(server.access(tmp_path), 2)
        door.ask(GET)
        door.close()
        with pytest.raises(StoreUnavailable, match="closed"):
            door.ask(GET)
        assert len(server.asked) == 1


def test_nothing_is_read_before_the_first_request(tmp_path: Path) -> None:
    door = Door(Access(kubeconfig=str(tmp_path / "none"), environ={}), 2)
    assert door.server == ""
    with pytest.raises(StoreUnavailable, match="no such file"):
        door.ask(GET)
    door.close()


def test_a_token_is_read_again_when_it_is_replaced(tmp_path: Path) -> None:
    """As kubelet does it: a link to a directory is exchanged for another."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "token").write_text(f"{name}\n")
        os.utime(tmp_path / name / "token", (1, 1))
    (tmp_path / "data").symlink_to("one")
    token = _Token(tmp_path / "data/token")
    assert [token.read(), token.read()] == ["one", "one"]
    (tmp_path / "new").symlink_to("two")
    (tmp_path / "new").rename(tmp_path / "data")
    assert token.read() == "two"
    (tmp_path / "data").unlink()
    with pytest.raises(StoreUnavailable, match="service account's token"):
        token.read()


def test_a_token_in_a_file_is_without_the_end_of_its_line(tmp_path: Path) -> None:
    """As `kubectl create token` writes it, and as kubectl reads it."""
    (tmp_path / "token").write_text("t0k3n\n")
    with Server(Reply()) as server:
        Door(access_to(server.url, tmp_path, tokenFile="token"), 1).ask(GET)
        (asked,) = server.asked
    assert asked.headers["authorization"] == "Bearer t0k3n"


@pytest.mark.parametrize("token", ["s3cret\nX: y", "s3cret\r", "s3cret\u20ac", "s3cret\x00"])
def test_a_token_that_no_request_can_have_is_told_and_not_shown(token: str, tmp_path: Path) -> None:
    door = Door(access_to("http://127.0.0.1:1", tmp_path, token=f"{token}!"), 1)
    with pytest.raises(StoreUnavailable, match=r"http://127.0.0.1:1: .* must be one line of ASCII") as raised:
        door.ask(GET)
    assert "s3cret" not in str(raised.value)
