"""What sessions need of the rest of the daemon."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshnet.driver.context import Stream
    from meshnet.model.session import Contact, EndState
    from meshnet.model.topology import Endpoint


NOT_YET = "NotYet"
"""How `Book.admit` begins what may be admitted in a moment: the peer tries again, and nothing is counted."""


class Book(Protocol):
    """The book of ends that core keeps: what it tells other nodes, and what it is told by them."""

    def states_for(self, node: str) -> Mapping[Endpoint, EndState]:
        """Return the state of every end here whose peer runs on that node."""

    def heard(self, node: str, states: Mapping[Endpoint, EndState | None], *, whole: bool) -> None:
        """Take what a node tells of its ends; None: an end that is not there any more; whole: there are no others."""

    def contact(self, node: str, contact: Contact, why: str) -> None:
        """Take how this daemon stands with a node's, and in a sentence why, if there is trouble."""

    def admit(self, node: str, driver: str, local: Endpoint, peer: Endpoint) -> str:
        """Return why a node may not open a stream between an end here and one of its own; ``""`` if it may.

        See `NOT_YET` for an answer that will change soon.
        """

    async def serve(self, driver: str, local: Endpoint, peer: Endpoint, stream: Stream) -> None:
        """Serve a stream that was admitted, until it ends."""
