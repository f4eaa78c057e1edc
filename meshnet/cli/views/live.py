"""``meshnet get sandboxes|drivers``: what the daemons say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshnet.cli import drivers
from meshnet.cli.table import Column
from meshnet.cli.views.base import Query, Row, View

if TYPE_CHECKING:
    from collections.abc import Sequence


SHORT_ID = 13
"""Characters of a container ID in the table, as in crictl's and the daemon's log; JSON has all."""


def read_sandboxes(query: Query) -> list[Row]:
    return [row for row in query.rows("sandboxes", "sandboxes") if query.wants(row["pod"], row["namespace"])]


def sandbox_cells(row: Row) -> Sequence[str]:
    ports = row.get("ports") or ()
    return (
        row["namespace"],
        row["pod"],
        row["node"],
        row["container_id"][:SHORT_ID],
        str(row.get("epoch", "")),
        str(len(ports)),
        row.get("network") or "",
        row.get("netns") or "",
    )


def read_drivers(query: Query) -> list[Row]:
    return [row for row in query.rows("drivers", "drivers") if query.wants(row["name"])]


def driver_cells(row: Row) -> Sequence[str]:
    return row["node"], *drivers.cells(row)


SANDBOXES = View(
    read_sandboxes,
    [
        Column("NAMESPACE"),
        Column("POD"),
        Column("NODE"),
        Column("CONTAINER"),
        Column("EPOCH", right=True),
        Column("PORTS", right=True),
        Column("NETWORK", wide=True),
        Column("NETNS", wide=True),
    ],
    sandbox_cells,
)
DRIVERS = View(read_drivers, [Column("NODE"), *drivers.COLUMNS], driver_cells, namespaced=False)
