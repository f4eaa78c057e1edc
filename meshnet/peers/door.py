"""Who is calling: each call is held against the pins of the moment, and ended when its certificate loses its pin."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, NoReturn

import attrs
import grpc

from meshnet.driver.told import one_line
from meshnet.peers.pins import fingerprint

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from meshnet.peers.pins import Pins
    from meshnet.peers.refusals import Refusals

    Context = grpc.aio.ServicerContext[bytes, bytes]

_NEWEST_TLS = b"TLSv1.3"


@attrs.frozen
class Caller:
    """Who is behind a call.

    Attributes:
        node: its name.
        mark: the fingerprint of the certificate that it showed.
        address: where it calls from, host and port, as gRPC writes it.
    """

    node: str
    mark: str
    address: str


class Door:
    """Lets calls in, and knows them while they last."""

    def __init__(self, pins: Pins, refusals: Refusals) -> None:
        self._pins = pins
        self._refusals = refusals
        self._calls: dict[asyncio.Task[None], Caller] = {}

    async def serve(self, context: Context, work: Callable[[Caller], Awaitable[None]]) -> None:
        """Run `work` for who is calling, if that is a node that is pinned, and as long as it is."""
        caller = await self._known(context)
        task = asyncio.ensure_future(work(caller))
        self._calls[task] = caller
        task.add_done_callback(self._ended)
        try:
            await asyncio.wait({task})
        finally:
            if not task.done():  # the caller has gone
                task.cancel()
                await asyncio.wait({task})
        if task.cancelled():
            with contextlib.suppress(grpc.aio.UsageError):  # it may have been refused already
                await context.abort(grpc.StatusCode.UNAUTHENTICATED, "this call was ended")
        task.result()

    def check(self) -> None:
        """End the calls of certificates that are not pinned any more."""
        for task, caller in tuple(self._calls.items()):
            # One that is ending already tidies up, undisturbed.
            if not task.cancelling() and caller.mark not in self._pins.of(caller.node):
                self._refusals.add("PinRemoved", caller.node, f"a call from {caller.address} is ended")
                task.cancel()

    async def stop(self) -> None:
        """End every call."""
        while self._calls:
            for task in self._calls:
                task.cancel()
            await asyncio.wait(tuple(self._calls))

    async def refuse(self, context: Context, code: grpc.StatusCode, reason: str, detail: str) -> NoReturn:
        """Count a refusal and end the call with it, in one short line of whatever the caller sent."""
        told = one_line(detail)  # gRPC never ends a call with a text that is no UTF-8
        self._refusals.add(reason, context.peer(), told)
        await context.abort(code, f"{reason}: {told}")

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._calls[task]
        if not task.cancelled():
            task.exception()  # else it is complained of where the caller goes just then, and nobody is left to be told

    async def _known(self, context: Context) -> Caller:
        shown: Mapping[str, Iterable[bytes]] = context.auth_context()
        tls = _first(shown, "ssl_tls_version")
        if tls != _NEWEST_TLS:
            detail = f"it speaks {tls.decode(errors='replace') or 'no TLS'}, and TLSv1.3 is needed"
            await self.refuse(context, grpc.StatusCode.UNAUTHENTICATED, "OldTLS", detail)
        names = [name.decode(errors="replace") for name in shown.get("x509_subject_alternative_name", ())]
        with contextlib.suppress(ValueError):
            mark = fingerprint(_first(shown, "x509_pem_cert").decode("ascii"))
            for name in names:
                if mark in self._pins.of(name):
                    return Caller(name, mark, context.peer())
        detail = f"its certificate, for {', '.join(names) or 'nobody'}, is in no node record of that name"
        return await self.refuse(context, grpc.StatusCode.UNAUTHENTICATED, "UnknownCertificate", detail)


async def begun(sending: Awaitable[None]) -> None:
    """Wait for what begins the answer to a call: its initial metadata, or its first message, which brings them along.

    Also while this task is being cancelled: gRPC notes only afterwards that they are sent, and would send them again
    with the status that ends the call, which then has none and never ends.
    """
    task = asyncio.ensure_future(sending)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        if not task.cancelled():
            task.exception()  # the call is ended anyway
        raise


def _first(shown: Mapping[str, Iterable[bytes]], key: str) -> bytes:
    return next(iter(shown.get(key, ())), b"")
