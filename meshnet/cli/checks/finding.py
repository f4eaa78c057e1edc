"""What a check found."""

from __future__ import annotations

import enum

import attrs


class Outcome(enum.Enum):
    """How it is: fine, something is missing that not everybody needs, or something does not work."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@attrs.frozen
class Finding:
    """One thing that was looked at.

    Attributes:
        area: ``machine``, ``kernel``, ``plugin``, ``drivers``, ``links``; ``node`` of what was asked here, and of a
            cluster ``cluster``, ``daemons``, ``nodes``.
        about: what was looked at: ``vxlan``.
        outcome: how it is.
        told: what was found.
        advice: what to do; ``""`` when it is fine.
    """

    area: str
    about: str
    outcome: Outcome
    told: str
    advice: str = ""
