"""The versions of the CNI specification that meshnet speaks."""

from __future__ import annotations

SUPPORTED = ("0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0")
LATEST = SUPPORTED[-1]
UNDECLARED = "0.1.0"
"""What a configuration without `cniVersion` means."""

FIRST_WITH = {"CHECK": "0.4.0", "GC": "1.1.0"}
"""Commands that older versions do not know."""


def at_least(version: str, least: str) -> bool:
    """Whether `version` is `least` or newer; both must be supported ones."""
    return SUPPORTED.index(version) >= SUPPORTED.index(least)
