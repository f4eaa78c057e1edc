"""The session that this daemon holds with another: dialled for ever, told of that node's ends, and of its life."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from typing import TYPE_CHECKING

import grpc

from meshnet.driver.told import one_line
from meshnet.errors import MeshnetError
from meshnet.model.session import Contact
from meshnet.peers import wiring
from meshnet.peers.hearing import Hearing
from meshnet.peers.messages import agree, decode_hello, encode_hello
from meshnet.peers.probe import Answer, probe

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshnet.model.node_record import NodeRecord
    from meshnet.peers.book import Book
    from meshnet.peers.contact import Liveness
    from meshnet.peers.identity import KeyPair
    from meshnet.peers.messages import Hello
    from meshnet.peers.pins import Pins

    Call = grpc.aio.StreamStreamCall[bytes, bytes]

log = logging.getLogger(__name__)

SILENT_S = 1.0
"""A session that says nothing for as long is over."""
DIAL_S = 1.0
"""From a connection to the peer's hello, and between looks whether the node still takes connections."""

_FIRST_PAUSE_S = 0.02
_LONGEST_PAUSE_S = 0.7
_AFTER_NOTHING_S = 0.2
_LOOKS = 5
"""So often a dial is given another `DIAL_S`; a server waits no longer for what it is to be sent."""
_SAY_AGAIN_S = 5.0
_SILENCE = f"its daemon says nothing for {DIAL_S:g} s"


class _OtherProtocol(MeshnetError):  # noqa: N818 - what it is
    """The daemon there speaks no protocol of this one's."""


class _NoSession(MeshnetError):  # noqa: N818 - what happened, not necessarily an error
    """A dial led to no session, or the session ended; its text says why."""


class Subscription:
    """Keeps a session with one node while it exists.

    Args:
        node: its name.
        hello: what this daemon says first.
        own: this node's key and certificate as of now.
        pins: what certificates that node may show.
        book: is told of ends and of the contact.
        liveness: of that node.
    """

    def __init__(
        self, node: str, *, hello: Hello, own: Callable[[], KeyPair], pins: Pins, book: Book, liveness: Liveness
    ) -> None:
        self.node = node
        self.why = ""
        self._hello = hello
        self._own = own
        self._pins = pins
        self._book = book
        self._liveness = liveness
        self._record: NodeRecord | None = None
        self._known = False
        self._call: Call | None = None
        self._quiet_s = 0.0
        self._alone_s = 0.0
        self._greeted = False
        self._lived = False
        self._told = (liveness.contact, "")
        self._unsaid_s = _SAY_AGAIN_S
        self._incompatible = False
        self._poke = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._run(), name=f"session with {node}")

    @property
    def contact(self) -> Contact:
        contact = self._liveness.contact
        incompatible = self._incompatible and contact in (Contact.AWAY, Contact.LAPSED)
        return Contact.INCOMPATIBLE if incompatible else contact

    def set_record(self, record: NodeRecord | None) -> None:
        """Take the node's record as it is now; a session that does not fit it any more is held anew."""
        before, self._record = self._record, record
        self._known = self._known or record is not None
        if record is None or before is None or not _goes_on(before, record):
            self.renew()

    def renew(self) -> None:
        """Begin the session anew, at once; nothing is taken for lost meanwhile."""
        if self._call is not None:
            self._call.cancel()
        self._poke.set()

    def passes(self, seconds: float) -> None:
        """Time passed, as far as this daemon was awake to see it."""
        if not self._known:
            return  # there is no record yet: nothing was tried
        self._quiet_s += seconds
        self._unsaid_s += seconds
        self._alone_s += seconds
        self._liveness.passes(seconds)
        if self._call is not None and self._greeted and self._quiet_s >= SILENT_S:
            self._call.cancel()
        self._tell()

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.wait({self._task})

    async def _run(self) -> None:
        pause = _FIRST_PAUSE_S
        while True:
            self._poke.clear()
            began, self._lived = asyncio.get_running_loop().time(), False
            try:
                most = await self._attempt()
            except Exception:
                log.exception("session with node %s failed", self.node)
                most = _LONGEST_PAUSE_S
            if self._lived and asyncio.get_running_loop().time() - began >= SILENT_S:
                pause = _FIRST_PAUSE_S
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(most, pause) * random.uniform(0.5, 1.0)):  # noqa: S311
                    await self._poke.wait()
            pause = min(pause * 2, _LONGEST_PAUSE_S)

    async def _attempt(self) -> float:
        """Dial once, and hold the session if one comes of it; return the longest pause before the next, seconds."""
        record = self._record
        if record is None or not record.addresses:
            self._say(f"there is no record of node {self.node} with an address")
            return _LONGEST_PAUSE_S
        probed = await probe(record.addresses, record.port)
        where = probed.told(self.node, record.port)
        if probed.answer is Answer.UNASKED:
            self._liveness.unasked()
            if where != self.why:
                log.error("%s; what was known of it goes on", where)
            self._say(where)
            return _LONGEST_PAUSE_S
        if probed.answer is Answer.NOTHING:
            self._liveness.silent()
            self._say(where)
            return _AFTER_NOTHING_S
        if probed.answer is Answer.REFUSED:
            self._incompatible = False  # another release may come up there
            self._liveness.answered()
            self._say(where)
            return _LONGEST_PAUSE_S
        self._liveness.reached()
        try:
            await self._talk(probed.address, record.port)
        except _OtherProtocol as error:
            self._incompatible = True
            self._liveness.answered()
            self._say(str(error))
        except _NoSession as error:
            self._unheard(where, str(error))
        return _LONGEST_PAUSE_S

    def _unheard(self, where: str, why: str) -> None:
        """Note that the node takes connections and nothing is heard of its daemon, if that is so for a while."""
        if not self._lived and self._alone_s >= SILENT_S:
            self._liveness.answered()
            self._say(f"{where}, but there is no session: {why}")

    async def _talk(self, address: str, port: int) -> None:
        """Hold a session until it ends. Raises _NoSession, _OtherProtocol."""
        trusted = self._pins.of(self.node).values()
        if not trusted:
            raise _NoSession("its record has no certificate")
        channel = wiring.session_channel(wiring.target(address, port), self._own(), self.node, trusted)
        call: Call = channel.stream_stream(f"/{wiring.SERVICE}/Session")()
        self._call, self._greeted = call, False
        try:
            await self._greet(call, address, port)
            self._quiet_s, self._greeted = 0.0, True
            await self._listen(call)
        except grpc.aio.AioRpcError as error:
            raise _NoSession(one_line(error.details() or error.code().name, 200)) from error
        except TimeoutError:
            raise _NoSession(_SILENCE) from None
        except ValueError as error:
            raise _NoSession(f"it sends what is no message: {error}") from None
        except asyncio.InvalidStateError:
            raise _NoSession("it was called off") from None  # before the first word
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise _NoSession("it went silent") from None  # the call was cancelled, not this task
        finally:
            self._call = None
            call.cancel()
            await channel.close()

    async def _greet(self, call: Call, address: str, port: int) -> None:
        asking = asyncio.ensure_future(self._ask(call))
        try:
            await self._answered(asking, address, port)
            hello = decode_hello(asking.result())
        finally:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
        if agree(self._hello.protocol, hello.protocol) is None:
            ours, theirs = self._hello.protocol, hello.protocol
            raise _OtherProtocol(
                f"node {self.node} speaks protocol {theirs[0]} to {theirs[1]}, this node {ours[0]} to {ours[1]}"
            )

    async def _ask(self, call: Call) -> bytes:
        await call.write(encode_hello(self._hello))
        return await _read(call)

    async def _answered(self, asking: asyncio.Future[bytes], address: str, port: int) -> None:
        """Wait for the peer's hello, as long as its node takes connections. Raises TimeoutError.

        Who is slow has many to answer. A dial that is given up and begun anew makes them more, and each the slower.
        """
        for _ in range(_LOOKS):
            await asyncio.wait({asking}, timeout=DIAL_S)
            if asking.done():
                return
            probed = await probe((address,), port)
            if probed.answer is not Answer.TAKEN:
                break
            self._liveness.reached()
            self._unheard(probed.told(self.node, port), _SILENCE)
        raise TimeoutError

    async def _listen(self, call: Call) -> None:
        hearing = Hearing()
        while True:
            told = hearing.take(await _read(call))
            self._quiet_s = 0.0
            self._liveness.reached()
            if told is None:
                continue
            if told.states or told.whole:
                self._book.heard(self.node, told.states, whole=told.whole)
            self._lived, self._alone_s, self._incompatible = True, 0.0, False
            self._liveness.heard()
            self._say("")

    def _say(self, why: str) -> None:
        self.why = why
        self._tell()

    def _tell(self) -> None:
        contact = self.contact
        now = (contact, "" if contact is Contact.LIVE else self.why)
        # A new contact is told at once; words that change from one try to the next are not.
        if now[0] is not self._told[0] or (now != self._told and self._unsaid_s >= _SAY_AGAIN_S):
            self._told, self._unsaid_s = now, 0.0
            self._book.contact(self.node, *now)


async def _read(call: Call) -> bytes:
    message = await call.read()
    if isinstance(message, bytes):
        return message
    raise _NoSession("it ended the session")


def _goes_on(before: NodeRecord, now: NodeRecord) -> bool:
    """Tell whether a session under one record is a session under the other."""
    if (before.addresses, before.port) != (now.addresses, now.port):
        return False
    # A first certificate that is new is one that is now in use: the one before will go.
    return before.certificates[:1] == now.certificates[:1] and set(before.certificates) <= set(now.certificates)
