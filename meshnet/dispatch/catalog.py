"""Which driver a link gets: named by the link, or the one that claims its kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from meshnet.driver.api import Scope
from meshnet.errors import LinkError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshnet.driver.api import LinkDriver

KIND_OF_LINK = {
    Scope.SAME_NODE: "both pods are on this node",
    Scope.BETWEEN_NODES: "the pods are on two nodes",
    Scope.EXTERNAL: "the peer is an interface of the node",
}


class Catalog(Protocol):
    """The drivers that can be used on this node."""

    def find(self, name: str) -> LinkDriver | None:
        """Return the usable driver of that name or alias."""

    def canonical(self, name: str) -> str:
        """Return the one of a driver's names that is its own, usable or not; of no driver's, the name in lower case."""

    def refusal(self, name: str) -> LinkError:
        """Return why a driver that `find` does not find cannot be used, with its name.

        ``DriverMissing``: not installed, or broken; ``DriverUnusable``: it does not work on this node.
        """

    def claimants(self, scope: Scope) -> Sequence[LinkDriver]:
        """Return the usable drivers that claim a kind of link, the one to choose first.

        Raises LinkError("DriverAmbiguous") when two of equal rank claim it and configuration does not decide.
        """

    def chosen_by(self, scope: Scope) -> str:
        """Return the setting that chooses the first of `claimants`; ``""`` when their ranks do."""


def choose(catalog: Catalog, scope: Scope, wanted: str | None) -> tuple[LinkDriver, str]:
    """Return the driver for a link and the sentence that tells why it is that one. Raises LinkError."""
    if wanted is None:
        return _claimed(catalog, scope)
    driver = catalog.find(wanted)
    if driver is None:
        raise catalog.refusal(wanted)
    if scope not in driver.scopes:
        raise LinkError("DriverUnsuitable", f"driver {driver.name!r} cannot make this link: {KIND_OF_LINK[scope]}")
    return driver, f"the link names {driver.name}"


def _claimed(catalog: Catalog, scope: Scope) -> tuple[LinkDriver, str]:
    claimants = catalog.claimants(scope)
    if not claimants:
        raise LinkError("DriverMissing", f"no usable driver claims this kind of link: {KIND_OF_LINK[scope]}")
    first, setting = claimants[0], catalog.chosen_by(scope)
    why = f"{setting} chooses {first.name} for such links" if setting else f"{first.name} claims such links"
    return first, f"{KIND_OF_LINK[scope]}, and {why}"
