"""Times as the Kubernetes API writes them: whole seconds, UTC."""

from __future__ import annotations

import calendar
import time

_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


def stamp(seconds: float | None = None) -> str:
    """Return a time, in seconds since 1970, as text; without one it is now."""
    return time.strftime(_FORMAT, time.gmtime(seconds))


def seconds_of(text: str) -> float:
    """Return the time that a text says, in seconds since 1970. Raises ValueError when it says none."""
    return float(calendar.timegm(time.strptime(text, _FORMAT)))
