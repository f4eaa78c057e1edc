"""Tables for people: aligned columns, colour only where somebody can see it."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, TextIO

import attrs

from meshnet.model.printable import printable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

GAP = "  "
NAMESPACE = "NAMESPACE"
BOLD = "1"
COLOURS: Mapping[str, str] = {
    **dict.fromkeys(("Up", "ok", "yes", "usable"), "32"),
    **dict.fromkeys(("Down", "Pending", "warn", "Warning"), "33"),
    **dict.fromkeys(("Failed", "fail", "broken", "no"), "31"),
}
"""ANSI colour of the words that tell how something is."""


@attrs.frozen
class Column:
    """A column: its title, and whether only ``-o wide`` shows it.

    Attributes:
        right: numbers are aligned to the right.
    """

    title: str
    wide: bool = False
    right: bool = False


def with_namespace(columns: Sequence[Column]) -> list[Column]:
    """Return the columns with that of the namespace always shown: rows of several have equal names."""
    return [attrs.evolve(column, wide=column.wide and column.title != NAMESPACE) for column in columns]


def colourful(stream: TextIO) -> bool:
    """Tell whether `stream` is a terminal that wants colour (https://no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def paint(text: str, code: str, *, colour: bool) -> str:
    """Return `text`, in an ANSI colour with `colour`."""
    return f"\x1b[{code}m{text}\x1b[0m" if colour and text else text


def render(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], *, wide: bool = False, colour: bool = False
) -> str:
    """Return the table, one line a row, without a line end after the last; ``-`` stands for nothing."""
    shown = [index for index, column in enumerate(columns) if wide or not column.wide]
    cells = [
        [columns[index].title for index in shown],
        *([printable(row[index]) or "-" for index in shown] for row in rows),
    ]
    widths = [max(len(line[place]) for line in cells) for place in range(len(shown))]
    lines = []
    for number, line in enumerate(cells):
        painted = []
        for place, text in enumerate(line):
            code = BOLD if number == 0 else COLOURS.get(text, "")
            padding = " " * (widths[place] - len(text))
            cell = paint(text, code, colour=colour and bool(code))
            painted.append(padding + cell if columns[shown[place]].right else cell + padding)
        lines.append(GAP.join(painted).rstrip())
    return "\n".join(lines)


def show(columns: Sequence[Column], rows: Sequence[Sequence[str]], *, wide: bool = False, empty: str) -> None:
    """Print the table, or on stderr the sentence `empty` when there are no rows."""
    if rows:
        print(render(columns, rows, wide=wide, colour=colourful(sys.stdout)))
    elif empty:
        print(empty, file=sys.stderr)
