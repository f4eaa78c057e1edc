"""``meshnet get drivers``: what the daemons say of the link drivers on their nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshnet.cli import drivers
from meshnet.cli.table import Column
from meshnet.cli.views.base import Query, Row, View

if TYPE_CHECKING:
    from collections.abc import Sequence


def read(query: Query) -> list[Row]:
    return [row for row in query.rows("drivers") if query.wants(row["name"])]


def cells(row: Row) -> Sequence[str]:
    return row["node"], *drivers.cells(row)


VIEW = View(read, [Column("NODE"), *drivers.COLUMNS], cells, namespaced=False)
