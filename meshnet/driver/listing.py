"""The drivers as rows of JSON types: what `meshnet drivers` prints and a daemon answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshnet.driver.registry import words_of

if TYPE_CHECKING:
    from meshnet.driver.plugins import Broken
    from meshnet.driver.registry import Entry, Registry


def driver_rows(registry: Registry) -> list[dict[str, Any]]:
    """Return a row a driver, by name, the broken ones last.

    `state` is ``usable``, ``unusable`` or ``broken``; `reason` says why, and is absent when usable.
    """
    return [*map(_working, registry.entries()), *map(_broken, registry.broken())]


def _working(entry: Entry) -> dict[str, Any]:
    driver = entry.driver
    row = {
        "name": entry.name,
        "version": entry.version,
        "distribution": entry.distribution,
        "state": "unusable" if entry.unusable else "usable",
        "scopes": [words_of(scope) for scope in driver.scopes],
        "claims": [words_of(scope) for scope in driver.claims],
        "rank": driver.rank,
        "aliases": list(driver.aliases),
        "attachment": driver.attachment.value,
        "carries": driver.carries.value,
        "honest": driver.honest,
        "caution": driver.caution,
    }
    return row | ({"reason": entry.unusable} if entry.unusable else {})


def _broken(broken: Broken) -> dict[str, Any]:
    return {
        "name": broken.name,
        "version": broken.version,
        "distribution": broken.distribution,
        "state": "broken",
        "reason": broken.reason,
    }
