from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import pytest

from meshnet.errors import StoreUnavailable
from meshnet.model.resource import Kind
from meshnet.stores.kubernetes.door import Feed
from meshnet.stores.kubernetes.request import Place
from meshnet.stores.kubernetes.stream import Begun, Ended, Stream, lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

GARBAGE = b'{"type":"ADDED","object":{"kind":"Topology",\xcd\x8a\x00\n'


def test_lines_are_put_together_from_chunks() -> None:
    chunks = [b'{"a"', b":1}\n{", b'"b":2}\n{"c":3}\n\n', b"", b'{"cut of']
    assert list(lines(iter(chunks))) == [b'{"a":1}', b'{"b":2}', b'{"c":3}']


class Door:
    """Gives one feed, whatever is asked."""

    server = "https://server"

    def __init__(self, feed: object) -> None:
        self.feed = feed

    def watch(self, _request: object) -> object:
        return self.feed


class Told(Feed):
    """Brings one chunk, and a second one when it is stopped."""

    def __init__(self, first: bytes, second: Callable[[], bytes]) -> None:
        self._first, self._second = first, second

    def chunks(self) -> Iterator[bytes]:
        yield self._first
        yield self._second()

    def stop(self) -> None:
        """Its chunks go on."""


def stream(feed: Feed) -> Stream:
    return Stream(cast("Any", Door(feed)), Kind.TOPOLOGY, Place(Kind.TOPOLOGY, "").watch("1", 300))


@pytest.mark.parametrize(
    "line", [GARBAGE, b"<html>\n", b"[]\n", b'{"type": "ADDED"}\n', b'{"type": "?", "object": {}}\n']
)
def test_what_is_no_event_ends_the_connection(line: bytes) -> None:
    async def main() -> None:
        items: list[object] = []
        reading = stream(Told(line, lambda: b""))
        while not (items and isinstance(items[-1], Ended)):
            items += await reading.take()
        begun, ended = items
        assert isinstance(begun, Begun)
        assert isinstance(ended, Ended)
        assert isinstance(ended.error, StoreUnavailable)
        assert "watch of every Topology: no event came, but" in str(ended.error)

    asyncio.run(asyncio.wait_for(main(), 10))


def test_an_object_that_is_nested_without_reason_comes_all_the_same() -> None:
    """Whoever may write one Topology could end every daemon that watches them."""
    deep = '{"a":' * 1500 + "1" + "}" * 1500
    metadata = '{"namespace": "evil", "name": "d", "resourceVersion": "7"}'
    line = f'{{"type":"ADDED","object":{{"kind":"Topology","metadata":{metadata},"spec":{{"links":[],"x":{deep}}}}}}}\n'

    async def main() -> None:
        items: list[Any] = []
        reading = stream(Told(line.encode(), lambda: b""))
        while not (items and isinstance(items[-1], Ended)):
            items += await reading.take()
        _, event, ended = items
        assert (event.resource.key, event.resource.spec["links"]) == (("evil", "d"), [])
        assert ended.error is None

    asyncio.run(asyncio.wait_for(main(), 10))


def test_what_comes_after_the_stop_is_nobodys(monkeypatch: pytest.MonkeyPatch) -> None:
    """The socket still has bytes that came before, and its TLS is gone."""
    failed: list[object] = []
    monkeypatch.setattr("threading.excepthook", failed.append)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        stopped = asyncio.Event()
        over = asyncio.Event()

        def second() -> bytes:
            asyncio.run_coroutine_threadsafe(stopped.wait(), loop).result(5)
            loop.call_soon_threadsafe(over.set)
            return GARBAGE

        reading = stream(Told(b"\n", second))
        assert isinstance((await reading.take())[0], Begun)
        reading.stop()
        stopped.set()
        await over.wait()

    asyncio.run(asyncio.wait_for(main(), 10))
    assert failed == []
