"""How a process ended, in words."""

from __future__ import annotations

import signal


def outcome(code: int) -> str:
    """Return how a process ended; `code` is its exit code, or minus the number of the signal that ended it."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:  # most real-time signals have no name
        return f"was ended by signal {-code}"
