"""How drivers are: on this machine, and on the nodes whose daemons tell of theirs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from meshnet.cli.checks.finding import Finding, Outcome
from meshnet.cli.drivers import NONE_INSTALLED, installed_drivers
from meshnet.errors import MeshnetError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Row = Mapping[str, Any]
"""What `meshnet drivers -o json`, or a daemon, says of a driver."""


def check_drivers() -> list[Finding]:
    """Return a finding for every driver that is installed here, or that there is none."""
    try:
        rows = installed_drivers()
    except MeshnetError as error:
        return [Finding("drivers", "all", Outcome.FAIL, str(error), "see `network namespaces` above")]
    found = []
    for row in rows:
        if row["state"] == "usable":
            found.append(Finding("drivers", _about(row), Outcome.OK, f"{', '.join(row['scopes'])}: usable"))
        else:
            found.append(_not_usable(row, "", cure_here(row)))
    return found or [Finding("drivers", "all", Outcome.FAIL, "none", NONE_INSTALLED)]


def cure_here(row: Row) -> str:
    """Return what to do about a driver of this machine that is not usable."""
    if row["state"] == "broken":
        return f"upgrade what is too old, or uninstall {row['distribution']}"
    return "links that need it say DriverUnusable"


def on_nodes(told: Mapping[str, Iterable[Row]], cure: Callable[[Row], str]) -> list[Finding]:
    """Return each driver: where it is usable, and where and why it is not.

    Args:
        told: what the daemon of each node says of its drivers.
        cure: gives what to do about one that is not usable.
    """
    alike: dict[tuple[str, str, str], tuple[Row, list[str]]] = {}
    for node, rows in sorted(told.items()):
        for row in rows:
            how = _about(row), row["state"], row.get("reason") or ""
            alike.setdefault(how, (row, []))[1].append(node)
    found = []
    for (about, state, _), (row, nodes) in sorted(alike.items(), key=lambda one: one[0]):
        on = f" on {', '.join(nodes)}"
        usable = Finding("drivers", about, Outcome.OK, f"usable{on}")
        found.append(usable if state == "usable" else _not_usable(row, on, cure(row)))
    return found


def _about(row: Row) -> str:
    return f"{row['name']} {row.get('version') or ''}".rstrip()


def _not_usable(row: Row, where: str, cure: str) -> Finding:
    outcome = Outcome.FAIL if row["state"] == "broken" else Outcome.WARN
    told = ": ".join(filter(None, (f"{row['state']}{where}", row.get("reason"))))
    return Finding("drivers", _about(row), outcome, told, cure)
