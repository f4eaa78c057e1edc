"""``meshnet lab down`` and ``list``."""

from __future__ import annotations

import pwd
import sys
from typing import TYPE_CHECKING, Any

from meshnet.cli.parser import add_output_option
from meshnet.cli.table import Column

if TYPE_CHECKING:
    import argparse

    from meshnet.cli.lab.verbparser import Verbs
    from meshnet.lab.record import LabRecord

COLUMNS = [Column("NAME"), Column("PID", right=True), Column("USER")]


def register(subparsers: Verbs) -> None:
    parser = subparsers.add_parser(
        "down",
        description="End a lab: its processes, namespaces, interfaces, mounts and files are gone. Twice is fine.",
        example="meshnet lab down\nmeshnet lab down other",
    )
    parser.add_argument("name", metavar="LAB", nargs="?", help="which (default: --lab, else the one that runs)")
    parser.set_defaults(run=down)
    parser = subparsers.add_parser("list", description="List the labs of this user.", example="meshnet lab list")
    add_output_option(parser)
    parser.set_defaults(run=list_labs)


def down(args: argparse.Namespace) -> int:
    from meshnet.errors import UsageError  # noqa: PLC0415 - `lab up` needs nothing of it
    from meshnet.lab.launch import end  # noqa: PLC0415
    from meshnet.lab.record import LabRecords, check_name  # noqa: PLC0415

    records = LabRecords.of_this_user()
    name = args.lab if args.name is None else args.name
    wanted = None if name is None else check_name(name)
    running = [record for record in records.running() if wanted in {None, record.name}]
    if len(running) > 1:
        raise UsageError(f"several labs run: say which (running: {', '.join(record.name for record in running)})")
    for record in running:
        end(record, records)
    if not args.quiet:
        absent = f"lab {wanted}: does not run" if wanted else "no lab runs"
        print(f"lab {running[0].name}: gone" if running else absent, file=sys.stderr)
    return 0


def list_labs(args: argparse.Namespace) -> int:
    from meshnet.cli.output import emit  # noqa: PLC0415
    from meshnet.lab.record import LabRecords  # noqa: PLC0415

    rows = [_row(record) for record in LabRecords.of_this_user().running()]
    emit(args, rows, COLUMNS, [(row["name"], str(row["pid"]), row["user"]) for row in rows], empty="no lab runs")
    return 0


def _row(record: LabRecord) -> dict[str, Any]:
    try:
        user = pwd.getpwuid(record.user).pw_name
    except KeyError:
        user = str(record.user)
    return {"name": record.name, "pid": record.pid, "user": user}
