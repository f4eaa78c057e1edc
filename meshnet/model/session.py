"""What daemons tell each other of the ends of their links, and how a node is reached: the words of a peer session."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshnet.model.topology import Endpoint


PROTOCOL = (1, 1)
"""The oldest and the newest version of the sessions that this release speaks."""


class Contact(enum.Enum):
    """How this daemon stands with another node's."""

    SEEKING = "seeking"
    """Not known yet, since this daemon began."""
    LIVE = "live"
    """A session is there."""
    AWAY = "away"
    """The daemon there does not answer, its node does: the kernel's patches go on forwarding."""
    LAPSED = "lapsed"
    """Away for longer than the grace: what needs the daemon to forward does not."""
    INCOMPATIBLE = "incompatible"
    """The daemon there speaks no protocol that this one does: nothing can be told, the kernel's patches go on."""
    DEAD = "dead"
    """Nothing answers there."""


@attrs.frozen
class EndState:
    """One end of a link, as the daemon of its node tells it.

    Attributes:
        epoch: of its sandbox.
        driver: that it is patched by, ``""`` while there is no patch.
        patched: the endpoint that it is patched to, or None.
        patched_epoch: of the sandbox of that.
        up: its interface is administratively up.
        reason: what keeps its side of the cable from being whole, ``""`` when nothing does.
        receive_id: what its node takes frames for it by; 0 for none. Here sooner than in its Topology's status.
        offer: what its driver needs the peer to know.
    """

    epoch: int
    driver: str = ""
    patched: Endpoint | None = None
    patched_epoch: int = 0
    up: bool = False
    reason: str = ""
    receive_id: int = 0
    offer: Mapping[str, Any] = attrs.field(factory=dict)
