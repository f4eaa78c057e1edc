"""What a kind of thing needs so that `meshnet get` can show it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import attrs

from meshnet.errors import DaemonUnreachable
from meshnet.model.printable import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from meshnet.cli.ask import Answers
    from meshnet.cli.table import Column
    from meshnet.cli.targets.base import Target
    from meshnet.model.resource import Kind, Resource

Row = dict[str, Any]


@attrs.frozen
class Query:
    """What is asked for: where, of which namespace (None: of all), only which name, with no remarks if `quiet`."""

    target: Target
    namespace: str | None
    name: str | None
    quiet: bool = False

    def objects(self, kind: Kind) -> Sequence[Resource]:
        """Return the store's objects of a kind, of the namespace asked for."""
        return self.target.objects(kind, self.namespace if kind.namespaced else None)

    def wants(self, name: str, namespace: str | None = None) -> bool:
        """Tell whether something of that name, in that namespace if it has one, is asked for."""
        return self.name in (None, name) and (namespace is None or self.namespace in (None, namespace))

    def ask(self, query: str) -> Answers:
        """Return what the daemons answer; those that are not reached are named on stderr."""
        answers = self.target.ask(query)
        self.remark(answers.remark())
        return answers

    def rows(self, query: str) -> list[Row]:
        """Return the rows of all daemons, each with its node; nodes that are not reached are named on stderr.

        Raises DaemonUnreachable when none is.
        """
        answers = self.target.ask(query)
        remark = answers.remark()
        if not answers.told:
            raise DaemonUnreachable(f"{self.target.name}: no daemon answers: {remark or self.target.no_daemon}")
        self.remark(remark)
        return [{"node": node, **row} for node, rows in sorted(answers.rows(query).items()) for row in rows]

    def remark(self, text: str) -> None:
        """Say on stderr what is not an error; nothing if `quiet`."""
        if text and not self.quiet:
            print(printable(text), file=sys.stderr)


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
