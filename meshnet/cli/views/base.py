"""What a kind of thing needs so that `meshnet get` can show it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import attrs

from meshnet.errors import DaemonUnreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from meshnet.cli.table import Column
    from meshnet.cli.target import Target
    from meshnet.model.resource import Kind, Resource
    from meshnet.stores.base import Store

Row = dict[str, Any]


@attrs.frozen
class Query:
    """What is asked for: where, of which namespace (None: of all), only which name."""

    target: Target
    namespace: str | None
    name: str | None

    def objects(self, kind: Kind) -> Sequence[Resource]:
        """Return the store's objects of a kind, of the namespace asked for."""

        async def read(store: Store) -> Sequence[Resource]:
            return (await store.list(kind, self.namespace if kind.namespaced else None)).items

        return self.target.with_store(read)

    def wants(self, name: str, namespace: str | None = None) -> bool:
        """Tell whether something of that name, in that namespace if it has one, is asked for."""
        return self.name in (None, name) and (namespace is None or self.namespace in (None, namespace))

    def rows(self, query: str, field: str) -> list[Row]:
        """Return the rows of all daemons, each with its node; nodes that are not reached are named on stderr.

        Raises DaemonUnreachable when none is.
        """
        answers = self.target.ask(query)
        silent = [node for node in self.target.nodes if node not in answers]
        if not answers:
            known = f"nodes: {', '.join(silent)}" if silent else "name its socket by MESHNET_SOCKET"
            raise DaemonUnreachable(f"{self.target.name}: no daemon answers ({known})")
        if silent:
            print(f"not reached: {', '.join(silent)}", file=sys.stderr)
        return [{"node": node, **row} for node, answer in sorted(answers.items()) for row in answer[field]]


@attrs.frozen
class View:
    """How one kind of thing is read and shown.

    Attributes:
        read: returns the rows, JSON types.
        columns: of the table.
        cells: a row's cells of the table.
        namespaced: whether a namespace says anything about it.
    """

    read: Callable[[Query], list[Row]]
    columns: Sequence[Column]
    cells: Callable[[Row], Sequence[str]]
    namespaced: bool = True
