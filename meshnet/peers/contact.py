"""How a daemon stands with another, told by time and by what answers alone."""

from __future__ import annotations

import attrs

from meshnet.model.session import Contact


@attrs.define
class Liveness:
    """The contact with one node; a pure machine: who uses it tells it of time, of messages and of answers.

    A node that is dead stays so until its daemon is heard: it may have come back without its patches.

    Attributes:
        timeout_s: silence after which a node is dead, seconds.
        grace_s: how long a daemon may be away before what needs it has lapsed, seconds.
        contact: as of now.
    """

    timeout_s: float
    grace_s: float
    contact: Contact = Contact.SEEKING
    _silent_s: float = attrs.field(default=0.0, init=False)
    _away_s: float = attrs.field(default=0.0, init=False)
    _unasked: bool = attrs.field(default=False, init=False)

    def heard(self) -> None:
        """The daemon itself said something, in a session that stands."""
        self.reached()
        self.contact = Contact.LIVE

    def incompatible(self) -> None:
        """The daemon itself said that it speaks no protocol of this one's."""
        self.reached()
        self.contact = Contact.INCOMPATIBLE

    def answered(self) -> None:
        """The node answered, its daemon did not."""
        self._is_away(Contact.SEEKING, Contact.LIVE)

    def refused(self) -> None:
        """The node answered that no daemon is there; one of another release may come up."""
        self._is_away(Contact.SEEKING, Contact.LIVE, Contact.INCOMPATIBLE)

    def reached(self) -> None:
        """The node took a connection; whether its daemon is there is not known yet."""
        self.silent()
        self._silent_s = 0.0

    def silent(self) -> None:
        """The node does not answer, or there is nowhere to ask it: the time that passes from here on tells."""
        self._unasked = False

    def unasked(self) -> None:
        """This node could not ask: what was known goes on until it can, however long that takes."""
        self._unasked = True

    def passes(self, seconds: float) -> None:
        """Time passed in which nothing else was told."""
        if self._unasked:
            return
        self._silent_s += seconds
        if self.contact is Contact.AWAY:
            self._away_s += seconds
            if self._away_s >= self.grace_s:
                self.contact = Contact.LAPSED
        if self._silent_s >= self.timeout_s:
            self.contact = Contact.DEAD

    def _is_away(self, *before: Contact) -> None:
        self.reached()
        if self.contact in before:
            self._away_s = 0.0
            self.contact = Contact.AWAY


@attrs.define
class ObservedClock:
    """Seconds that this daemon was awake to see: a busy loop of ours is not the silence of a peer.

    Attributes:
        most_s: what one look may add, seconds.
    """

    most_s: float
    _last: float

    def look(self, now: float) -> float:
        """Return how much time passed since the last look, as far as it was observed, seconds."""
        passed, self._last = now - self._last, now
        return min(max(passed, 0.0), self.most_s)
