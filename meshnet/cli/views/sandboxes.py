"""``meshnet get sandboxes``: which pods the daemons have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshnet.cli.table import Column
from meshnet.cli.views.base import Query, Row, View

if TYPE_CHECKING:
    from collections.abc import Sequence


SHORT_ID = 13
"""Characters of a container ID in the table, as in crictl's and the daemon's log; JSON has all."""


def read(query: Query) -> list[Row]:
    return [row for row in query.rows("sandboxes") if query.wants(row["pod"], row["namespace"])]


def cells(row: Row) -> Sequence[str]:
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


VIEW = View(
    read,
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
    cells,
)
