"""Who is told of the ends here: at most one subscription a node, everything at once, nothing twice."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from meshnet.peers.messages import SIGN_OF_LIFE, encode_ends

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping

    from meshnet.model.session import EndState
    from meshnet.model.topology import Endpoint

SIGN_OF_LIFE_S = 0.5
STALLED_S = 10.0
"""A subscriber that takes no message for as long loses its subscription."""


class Subscriber:
    """What one node is still to be told. It is bounded by the number of ends: the newest state of each is kept."""

    def __init__(self, states: Mapping[Endpoint, EndState]) -> None:
        self._whole: Mapping[Endpoint, EndState] | None = states
        self._pending: dict[Endpoint, EndState | None] = {}
        self._changed = asyncio.Event()

    def announce(self, endpoint: Endpoint, state: EndState | None) -> None:
        """Tell it in the next turn of the loop, with whatever else is announced in this one."""
        self._pending[endpoint] = state
        self._changed.set()

    async def run(self, write: Callable[[bytes], Awaitable[None]]) -> None:
        """Write all states, then every change, and signs of life, for ever. Raises TimeoutError when it is stalled."""
        while True:
            for message in self._messages():
                async with asyncio.timeout(STALLED_S):
                    await write(message)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SIGN_OF_LIFE_S):
                    await self._changed.wait()

    def _messages(self) -> Iterator[bytes]:
        if self._whole is not None:
            whole, self._whole = self._whole, None
            return encode_ends(whole, whole=True)
        if not self._pending:
            return iter((SIGN_OF_LIFE,))
        pending, self._pending = self._pending, {}
        self._changed.clear()
        return encode_ends(pending, whole=False)


class Subscribers:
    """The subscriptions there are, by node."""

    def __init__(self) -> None:
        self._subscribers: dict[str, tuple[Subscriber, Callable[[], object]]] = {}

    def announce(self, node: str, endpoint: Endpoint, state: EndState | None) -> None:
        """Tell a node, if it is subscribed; if it is not, it will be told everything when it is."""
        found = self._subscribers.get(node)
        if found is not None:
            found[0].announce(endpoint, state)

    @contextlib.contextmanager
    def subscribed(self, node: str, subscriber: Subscriber, end: Callable[[], object]) -> Iterator[None]:
        """Keep a subscription for the length of a ``with``; one that the node had before is ended by its `end`."""
        before = self._subscribers.get(node)
        self._subscribers[node] = (subscriber, end)
        if before is not None:
            before[1]()
        try:
            yield
        finally:
            if self._subscribers.get(node, (None,))[0] is subscriber:
                del self._subscribers[node]
