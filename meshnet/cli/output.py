"""What was read, printed as ``-o`` asks."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

from meshnet.cli.table import Column, show

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence


def emit(
    args: argparse.Namespace,
    found: Any,
    columns: Sequence[Column] = (),
    rows: Sequence[Sequence[str]] = (),
    *,
    empty: str = "",
) -> None:
    """Print `found` as JSON or YAML, or the table of `rows`; `empty` is the remark when there are none."""
    if args.output == "json":
        print(json.dumps(found, indent=2))
    elif args.output == "yaml":
        from meshnet.model.documents import dump  # noqa: PLC0415 - the YAML library takes long to import

        print(dump(found), end="")
    else:
        show(columns, rows, wide=args.output == "wide", empty="" if args.quiet else empty)


@contextlib.contextmanager
def said_at_the_end(*, quiet: bool) -> Iterator[list[str]]:
    """Yield a list of lines, which are printed when the block is left, however it is.

    Not line by line: who reads them may stop reading, which would end the rest of the block as well.
    """
    said: list[str] = []
    try:
        yield said
    finally:
        if said and not quiet:
            print(*said, sep="\n")
