"""One connection of a watch: a thread that reads it, events that come out, and a stop that stops it."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import attrs

from meshnet.errors import MeshnetError, StoreUnavailable
from meshnet.model.resource import Resource
from meshnet.stores.base import Change, WatchEvent
from meshnet.stores.depth import decode
from meshnet.stores.kubernetes.document import received
from meshnet.stores.kubernetes.door import Answer, Feed, Unreachable
from meshnet.stores.kubernetes.errors import refusal
from meshnet.stores.kubernetes.handover import Handover

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meshnet.model.resource import Kind
    from meshnet.stores.kubernetes.door import Door
    from meshnet.stores.kubernetes.request import Request


@attrs.frozen
class Ended:
    """The connection is over: refused or lost by an error, or ended by the server as it was asked to (None)."""

    error: Exception | None


@attrs.frozen
class Begun:
    """The server has taken the watch on."""


Item = WatchEvent | Begun | Ended


class Stream:
    """Reads a watch, from its making to `stop`, or to the end which the last item tells."""

    def __init__(self, door: Door, kind: Kind, request: Request) -> None:
        self._door = door
        self._kind = kind
        self._request = request
        self._handover: Handover[Item] = Handover()
        self._lock = threading.Lock()
        self._feed: Feed | None = None
        self._stopped = False
        threading.Thread(target=self._run, name=f"watch {kind.value}", daemon=True).start()

    async def take(self) -> Sequence[Item]:
        """Return what has come, at least one item, waiting for it."""
        return await self._handover.take()

    def stop(self) -> None:
        """End the connection now, and the thread with it; idempotent."""
        self._hang_up()
        self._handover.close()

    def abort(self, error: Exception) -> None:
        """Stop, and have whoever waits for items told why."""
        self._hang_up()
        self._handover.close(Ended(error))

    def _hang_up(self) -> None:
        with self._lock:
            self._stopped = True
            feed = self._feed
        if feed is not None:
            feed.stop()

    def _run(self) -> None:
        error: Exception | None = StoreUnavailable("the thread of the watch failed: a bug")
        try:
            self._read()
            error = None
        except (Unreachable, MeshnetError) as told:
            error = told
        finally:
            self._handover.put(Ended(error))

    def _read(self) -> None:
        opened = self._door.watch(self._request)
        if isinstance(opened, Answer):
            raise refusal(self._request, opened, self._door.server)
        with self._lock:
            self._feed = opened
        if self._stopped:  # before there was anything to stop
            opened.stop()
        self._handover.put(Begun())
        for line in lines(opened.chunks()):
            try:
                event = self._event(decode(line))
            except (ValueError, LookupError, TypeError, AttributeError) as error:
                if self._stopped:  # a connection by TLS that is shut down goes on with what nobody deciphers any more
                    return
                raise StoreUnavailable(
                    f"watch of every {self._kind.value}: no event came, but {line[:80]!r}"
                ) from error
            if not self._handover.put(event):
                return

    def _event(self, told: dict[str, Any]) -> WatchEvent:
        document = told["object"]
        if told["type"] == "ERROR":
            body = json.dumps(document).encode()
            raise refusal(self._request, Answer(int(document.get("code") or 500), body), self._door.server)
        change = Change(told["type"])
        resource = None if change is Change.BOOKMARK else Resource(self._kind, received(document))
        return WatchEvent(change, resource, document["metadata"]["resourceVersion"])


def lines(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the lines that chunks make up; what comes after the last line's end is cut off and is none."""
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        yield from filter(None, whole)
