"""What one session tells of ends, put together and kept within bounds: a peer may be anybody's by now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshnet.peers.messages import Told, decode_told

if TYPE_CHECKING:
    from meshnet.model.session import EndState
    from meshnet.model.topology import Endpoint

MOST_ENDS = 1 << 16
MOST_BYTES = 32 << 20
"""Of all ends, as they are sent, and of the changes after that: who is told all ends anew forgets what was told."""


class Hearing:
    """Takes the messages of one session in their order."""

    def __init__(self) -> None:
        self._whole: dict[Endpoint, EndState | None] | None = {}
        self._known: set[Endpoint] = set()
        self._bytes = 0

    def take(self, message: bytes) -> Told | None:
        """Return what a message makes known: first all ends at once, then changes; None while not all are there.

        Raises ValueError when it is no message, and when a session has told too much: it is to be begun anew then.
        """
        told = decode_told(message)
        if told.states:
            self._count(told, len(message))
        if self._whole is None:
            return Told(told.states)
        self._whole.update(told.states)
        if told.more or not told.whole:
            return None
        whole, self._whole, self._bytes = self._whole, None, 0
        return Told(whole, whole=True)

    def _count(self, told: Told, size: int) -> None:
        self._known |= told.states.keys()
        if self._whole is None:  # else what is gone is kept, too, until all are there
            self._known -= {end for end, state in told.states.items() if state is None}
        self._bytes += size
        if len(self._known) > MOST_ENDS:
            raise ValueError(f"more than {MOST_ENDS} ends")
        if self._bytes > MOST_BYTES:
            raise ValueError(f"more than {MOST_BYTES >> 20} MiB of ends")
