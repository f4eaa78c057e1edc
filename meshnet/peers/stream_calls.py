"""Answers the streams that other nodes' drivers open, and the calls that carry them on."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections import Counter
from typing import TYPE_CHECKING

import attrs
import grpc

from meshnet.errors import StreamEnded
from meshnet.peers.book import NOT_YET
from meshnet.peers.door import begun
from meshnet.peers.malloc import keep_message_memory
from meshnet.peers.pool import STREAM_ID
from meshnet.peers.streams import About, CarriedStream, Leg

if TYPE_CHECKING:
    from meshnet.peers.book import Book
    from meshnet.peers.door import Caller, Context, Door

log = logging.getLogger(__name__)

MOST_STREAMS = 4096
"""Of one node."""

_LEAVE_S = 2.0


@attrs.define(eq=False)
class _Served:
    """A stream that is served: whose it is, what for, and the task that its driver reads and writes it in."""

    node: str
    about: About
    stream: CarriedStream
    driver: asyncio.Task[None]

    def fits(self, caller: Caller, about: About) -> bool:
        """Tell whether this is the stream that a call of `caller` means to carry on."""
        same = attrs.evolve(self.about, carries_on=about.carries_on) == about
        return same and self.node == caller.node and not self.stream.over


class StreamCalls:
    """Admits streams by who calls and for which ends, and serves them."""

    def __init__(self, door: Door, book: Book) -> None:
        self._door = door
        self._book = book
        self._served: dict[str, _Served] = {}
        self._count: Counter[str] = Counter()
        self._going: set[asyncio.Task[None]] = set()

    async def handle(self, _requests: object, context: Context) -> None:
        await self._door.serve(context, lambda caller: self._serve(caller, context))

    async def stop(self) -> None:
        """End what drivers still do with streams that are over."""
        tasks = {served.driver for served in self._served.values()}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_LEAVE_S)

    async def _serve(self, caller: Caller, context: Context) -> None:
        try:
            about = About.read(context.invocation_metadata())
        except ValueError as error:
            await self._door.refuse(context, grpc.StatusCode.INVALID_ARGUMENT, "Malformed", str(error))
        await self._admit(caller, about, context)
        left = asyncio.get_running_loop().create_future()
        over = asyncio.get_running_loop().create_future()
        leg = Leg(context, left=lambda: _settle(left), cancel=lambda: _settle(over))
        served = await self._carried(caller, about, leg, context)
        try:
            await asyncio.wait({served.driver, left, over}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not left.done():
                await _finish(served)
        if not left.done():
            await context.abort(grpc.StatusCode.CANCELLED, "the stream was closed")

    async def _admit(self, caller: Caller, about: About, context: Context) -> None:
        # Each side names its own end first: the caller's peer is the local end here.
        why_not = self._book.admit(caller.node, about.driver, about.peer, about.local)
        if not why_not and self._count[caller.node] >= MOST_STREAMS and not about.carries_on:
            detail = f"node {caller.node} has {MOST_STREAMS} streams"
            await self._door.refuse(context, grpc.StatusCode.RESOURCE_EXHAUSTED, "TooManyStreams", detail)
        if why_not.startswith(NOT_YET):
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, why_not)
        if why_not:
            detail = f"node {caller.node}, driver {about.driver}, from {about.local} to {about.peer}: {why_not}"
            await self._door.refuse(context, grpc.StatusCode.PERMISSION_DENIED, "StreamRefused", detail)

    async def _carried(self, caller: Caller, about: About, leg: Leg, context: Context) -> _Served:
        """Return the stream that a call carries on, or a new one; the peer is told its name."""
        if not about.carries_on:
            name = secrets.token_hex(16)
            await begun(context.send_initial_metadata(((STREAM_ID, name),)))
            return self._begin(name, caller, about, leg)
        served = self._served.get(about.carries_on)
        if served is None or not served.fits(caller, about):
            detail = f"node {caller.node} has no such stream from {about.local} to {about.peer}"
            await self._door.refuse(context, grpc.StatusCode.PERMISSION_DENIED, "StreamUnknown", detail)
        await begun(context.send_initial_metadata(((STREAM_ID, about.carries_on),)))
        served.stream.follow(leg)  # not before: who gives this call up carries on by another
        going = asyncio.get_running_loop().create_task(_go_over(served.stream, leg))
        self._going.add(going)
        going.add_done_callback(self._going.discard)
        return served

    def _begin(self, name: str, caller: Caller, about: About, leg: Leg) -> _Served:
        keep_message_memory()
        stream = CarriedStream(leg)
        driver = asyncio.get_running_loop().create_task(self._drive(about, stream), name=f"stream of {about.peer}")
        self._served[name] = served = _Served(caller.node, about, stream, driver)
        self._count[caller.node] += 1
        driver.add_done_callback(lambda _: self._forget(name))
        return served

    def _forget(self, name: str) -> None:
        served = self._served.pop(name)
        self._count[served.node] -= 1
        served.stream.close()

    async def _drive(self, about: About, stream: CarriedStream) -> None:
        try:
            await self._book.serve(about.driver, about.peer, about.local, stream)
        except StreamEnded:
            log.debug("the stream of %s from %s is over", about.peer, about.local)
        except Exception:
            log.exception("driver %s failed at the stream of %s from %s", about.driver, about.peer, about.local)


async def _finish(served: _Served) -> None:
    """The driver finds its stream over; one that does not look at it is not waited for."""
    served.stream.close()
    try:
        if not served.driver.done():
            await asyncio.wait({served.driver}, timeout=_LEAVE_S)
    finally:
        served.driver.cancel()


async def _go_over(stream: CarriedStream, leg: Leg) -> None:
    with contextlib.suppress(StreamEnded):
        await stream.go_over(leg)


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
