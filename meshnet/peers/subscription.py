"""The session that this daemon holds with another: dialled for ever; who is to know is told of that node's life."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

from meshnet.backoff import doubling, spread
from meshnet.model.session import Contact
from meshnet.peers import wiring
from meshnet.peers.conversation import SILENT_S, Conversation, NoSession, OtherProtocol
from meshnet.peers.probe import Answer, Probed, probe

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshnet.model.node_record import NodeRecord
    from meshnet.peers.book import Book
    from meshnet.peers.contact import Liveness
    from meshnet.peers.keyfile import KeyPair
    from meshnet.peers.messages import Hello, Told
    from meshnet.peers.pins import Pins

log = logging.getLogger(__name__)

_FIRST_PAUSE_S = 0.02
_LONGEST_PAUSE_S = 0.7
_AFTER_NOTHING_S = 0.2
_SAY_AGAIN_S = 5.0


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
        self._conversation: Conversation | None = None
        self._alone_s = 0.0
        self._lived = False
        self._told = (liveness.contact, "")
        self._unsaid_s = _SAY_AGAIN_S
        self._poke = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._run(), name=f"session with {node}")

    @property
    def contact(self) -> Contact:
        return self._liveness.contact

    def set_record(self, record: NodeRecord | None) -> None:
        """Take the node's record as it is now; a session that does not fit it any more is held anew."""
        before, self._record = self._record, record
        self._known = self._known or record is not None
        if record is None or before is None or not _goes_on(before, record):
            self.renew()

    def renew(self) -> None:
        """Begin the session anew, at once; nothing is taken for lost meanwhile."""
        if self._conversation is not None:
            self._conversation.end()
        self._poke.set()

    def passes(self, seconds: float) -> None:
        """Time passed, as far as this daemon was awake to see it."""
        if not self._known:
            return  # there is no record yet: nothing was tried
        self._unsaid_s += seconds
        self._alone_s += seconds
        self._liveness.passes(seconds)
        if self._conversation is not None:
            self._conversation.passes(seconds)
        self._tell()

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.wait({self._task})

    async def _run(self) -> None:
        pauses = doubling(_FIRST_PAUSE_S, _LONGEST_PAUSE_S)
        while True:
            self._poke.clear()
            began, self._lived = asyncio.get_running_loop().time(), False
            try:
                most = await self._attempt()
            except Exception:
                log.exception("session with node %s failed", self.node)
                most = _LONGEST_PAUSE_S
            if self._lived and asyncio.get_running_loop().time() - began >= SILENT_S:
                pauses = doubling(_FIRST_PAUSE_S, _LONGEST_PAUSE_S)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(spread(min(most, next(pauses)))):
                    await self._poke.wait()

    async def _attempt(self) -> float:
        """Dial once, and hold the session if one comes of it; return the longest pause before the next, seconds."""
        record = self._record
        if record is None or not record.addresses:
            self._liveness.silent()
            self._say(f"there is no record of node {self.node} with an address")
            return _LONGEST_PAUSE_S
        if self.contact is Contact.LIVE and not self.why:
            # Said when its time is over before this attempt's.
            self.why = Probed(Answer.NOTHING, record.addresses[0]).told(self.node, record.port)
        probed = await probe(record.addresses, record.port)
        if self._poke.is_set():
            return 0.0  # another record holds by now
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
            self._liveness.refused()
            self._say(where)
            return _LONGEST_PAUSE_S
        self._liveness.reached()
        try:
            await self._talk(probed.address, record.port)
        except OtherProtocol as error:
            self._liveness.incompatible()
            self._say(str(error))
        except NoSession as error:
            self._unheard(where, str(error))
        return _LONGEST_PAUSE_S

    def _unheard(self, where: str, why: str) -> None:
        """Note that the node takes connections and nothing is heard of its daemon, if that is so for a while."""
        if not self._lived and self._alone_s >= SILENT_S:
            self._liveness.answered()
            self._say(f"{where}, but there is no session: {why}")

    async def _talk(self, address: str, port: int) -> None:
        """Hold a session until it ends. Raises NoSession, OtherProtocol."""
        trusted = self._pins.of(self.node).values()
        if not trusted:
            raise NoSession("its record has no certificate")
        channel = wiring.session_channel(wiring.target(address, port), self._own(), self.node, trusted)
        self._conversation = Conversation(
            self.node,
            address,
            port,
            channel,
            self._hello,
            liveness=self._liveness,
            heard=self._heard,
            unheard=self._unheard,
        )
        try:
            await self._conversation.hold()
        finally:
            self._conversation = None

    def _heard(self, told: Told) -> None:
        if told.states or told.whole:
            self._book.heard(self.node, told.states, whole=told.whole)
        self._lived, self._alone_s = True, 0.0
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


def _goes_on(before: NodeRecord, now: NodeRecord) -> bool:
    """Tell whether a session under one record is a session under the other."""
    if (before.addresses, before.port) != (now.addresses, now.port):
        return False
    # A first certificate that is new is one that is now in use: the one before will go.
    return before.certificates[:1] == now.certificates[:1] and set(before.certificates) <= set(now.certificates)
