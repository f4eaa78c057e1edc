"""What a user is told of manifests that mean something else in a lab."""

from __future__ import annotations

from collections import defaultdict

SHOWN = 3
"""Pods that are named where the same is to be said of many."""


class Notes:
    """Notes in the order in which they came first, each told once: of all the pods that it is about."""

    def __init__(self) -> None:
        self._about: defaultdict[str, dict[str, None]] = defaultdict(dict)

    def add(self, note: str, pod: str | None = None) -> None:
        """Take a note, about a pod or in general."""
        pods = self._about[note]
        if pod is not None:
            pods[pod] = None

    def told(self) -> tuple[str, ...]:
        """Return a line for each."""
        return tuple(_line(note, list(pods)) for note, pods in self._about.items())


def _line(note: str, pods: list[str]) -> str:
    if not pods:
        return note
    more = f" and {len(pods) - SHOWN} more" if len(pods) > SHOWN else ""
    return f"Pod{'s' if len(pods) > 1 else ''} {', '.join(pods[:SHOWN])}{more}: {note}"
