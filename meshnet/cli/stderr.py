"""Standard error that nobody has to be able to write to: a full disk is no bug, and cannot be told there."""

from __future__ import annotations

from meshnet.cli.streams import Guarded


class Stderr(Guarded):
    """What the device does not take is lost: what a command does, it does without a remark, too."""

    def refused(self, error: OSError) -> None:
        """Go on."""
