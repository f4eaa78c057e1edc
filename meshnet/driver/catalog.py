"""The drivers that links can be given to on this node, or why not: what dispatch asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshnet.errors import LinkError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshnet.driver.api import LinkDriver, Scope
    from meshnet.driver.registry import Entry, Registry


class NodeCatalog:
    """A registry seen from a link. Follows it: a driver that becomes unusable is so here, too."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def find(self, name: str) -> LinkDriver | None:
        """Return the driver of that name or alias if it is usable on this node."""
        entry = self._registry.find(name)
        return None if entry is None or entry.unusable else entry.driver

    def canonical(self, name: str) -> str:
        """Return the one of a driver's names that is its own, usable or not; of no driver's, the name in lower case."""
        entry = self._registry.find(name)
        return name.lower() if entry is None else entry.name

    def refusal(self, name: str) -> LinkError:
        """Return why a driver that `find` does not find cannot be used here.

        ``DriverMissing``: not installed, or broken; ``DriverUnusable``: it does not work on this node.
        """
        try:
            entry = self._registry.get(name)
        except LinkError as error:
            return error
        return LinkError("DriverUnusable", f"driver {entry.name!r} does not work on this node: {entry.unusable}")

    def claimants(self, scope: Scope) -> Sequence[LinkDriver]:
        """Return the usable drivers that claim a kind of link, the one to choose first.

        Raises LinkError: what `Registry.claimants` raises, and ``DriverUnusable`` when the one to choose does not work
        here: the next would be a silent fallback, and another one than the peer's node chooses.
        """
        entries = self._registry.claimants(scope)
        if entries and entries[0].unusable:
            raise LinkError("DriverUnusable", _unusable(entries[0]))
        return [entry.driver for entry in entries if not entry.unusable]

    def chosen_by(self, scope: Scope) -> str:
        """Return the setting that chooses the first of `claimants`; ``""`` when their ranks do."""
        return self._registry.chosen_by(scope)


def _unusable(entry: Entry) -> str:
    return f"driver {entry.name} claims this kind of link but does not work on this node: {entry.unusable}"
