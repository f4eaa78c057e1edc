"""Which links are not as they are asked for, why, and what to do about each."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from meshnet.cli.checks.finding import Finding, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

SHOWN = 20
"""Links, and pods, that are named one by one; the rest is counted."""


def check_links(rows: Sequence[Mapping[str, Any]], advice: Callable[[str], str]) -> list[Finding]:
    """Return how many links are in which state, and each that is not as it is asked for.

    Args:
        rows: as `meshnet get links` has them.
        advice: what to do about a reason, where these links are.
    """
    counts = Counter(str(row["state"]) for row in rows)
    told = ", ".join(f"{count} {state}" for state, count in sorted(counts.items())) or "none"
    found = [Finding("links", "all", Outcome.OK, told)]
    wrong = [row for row in rows if row["state"] not in ("Up", "Down")]
    for row in wrong[:SHOWN]:
        outcome = Outcome.FAIL if row["state"] == "Failed" else Outcome.WARN
        reason = str(row.get("reason") or "")
        why = ": ".join(filter(None, (row["state"], reason, row.get("message"))))
        found.append(Finding("links", _name(row), outcome, why, advice(reason)))
    return found + rest(wrong, "links")


def rest(every: Sequence[object], what: str) -> list[Finding]:
    """Return how many there are beside those that are shown; nothing where all of them are."""
    left = len(every) - SHOWN
    if left <= 0:
        return []
    told = f"{left} more {what} are not as they should be"
    return [Finding("links", f"other {what}", Outcome.WARN, told, "meshnet get links -A tells of all")]


def _name(row: Mapping[str, Any]) -> str:
    places = [f"{end['pod']}:{end['interface']}" for end in row["endpoints"]]
    return f"{row['namespace']}/{' - '.join(places)}"
