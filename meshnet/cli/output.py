"""What was read, printed as ``-o`` asks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from meshnet.cli.table import Column, show

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


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
