"""``meshnet lab up``."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from meshnet.cli.files import FILE_HELP
from meshnet.cli.parser import milliseconds, seconds, whole_number
from meshnet.model.printable import printable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from meshnet.cli.lab.verbparser import Verbs
    from meshnet.cli.parser import CommandParser
    from meshnet.lab.launch import Launched

DEFAULT_NAME = "lab"
MOST_SHOWN = 20
"""Link ends that are not up, told one by one; the rest is counted."""
_ERASE_LINE = "\r\x1b[K"


def register(subparsers: Verbs) -> None:
    parser = subparsers.add_parser(
        "up",
        description="Start a lab of what the files declare, and wait until all links are up. Exit code 1 when some are "
        "not; the lab stays then.",
        example="meshnet lab up examples/3node.yml\nmeshnet lab up --lab other --nodes 2 --place r1=n2 topology/",
    )
    add_up_options(parser)
    parser.add_argument("files", metavar="FILE", nargs="+", help=FILE_HELP)
    parser.set_defaults(run=run)


def add_up_options(parser: CommandParser) -> None:
    """Add what ``up`` and ``run`` have in common."""
    add = parser.add_argument
    add(
        "--nodes",
        type=whole_number,
        metavar="N",
        help="1 to 250 nodes: n1, n2, ... (default: those the files name, else 1)",
    )
    add("--place", action="append", default=[], metavar="POD=NODE", help="run this pod there; may be repeated")
    add("--driver", metavar="NAME", help="the driver for links that name none, where it can make them")
    add("--primary", choices=("none", "bridge"), default="none", help="the CNI plugin in front of meshnet's")
    add(
        "--underlay-mtu",
        type=whole_number,
        default=1500,
        metavar="N",
        help="MTU between the nodes, bytes, 1280 to 65535 (default: 1500)",
    )
    add(
        "--underlay-delay",
        type=milliseconds,
        default=0.0,
        metavar="MS",
        help="delay from node to node, milliseconds, 0 to 10000 (default: 0); needs a kernel with netem",
    )
    add("--underlay", choices=("ipv4", "ipv6"), default="ipv4", help="addresses of the nodes (default: ipv4)")
    add(
        "--uplink",
        action="append",
        default=[],
        metavar="NODE=NAME",
        help="name of that node's interface to the others (default: eth0); may be repeated",
    )
    add(
        "--set",
        action="append",
        default=[],
        metavar="[NODE:]NAME=VALUE",
        help="a setting of all daemons, or of that node's, such as MESHNET_PORT=5000; may be repeated",
    )
    add(
        "--wait",
        type=seconds,
        default=30.0,
        metavar="SECONDS",
        help="how long links may take to come up, and before that each node's daemon to start, which gets 30 at least "
        "(default: 30)",
    )


def run(args: argparse.Namespace) -> int:
    from meshnet.cli.lab.ending import Ending, ToldToEnd  # noqa: PLC0415 - `lab list` needs nothing of it

    try:
        with Ending():
            lab = bring_up(args)
            lab.let_go()
    except ToldToEnd as told:
        return 128 + told.number
    print_report(lab, quiet=args.quiet)
    return 0 if lab.report["ok"] else 1


def bring_up(args: argparse.Namespace) -> Launched:
    """Start the lab that `args` ask for; it ends with this process until it is let go. Raises MeshnetError."""
    from meshnet.cli.lab.planning import make_plan  # noqa: PLC0415 - `lab list` needs nothing of it
    from meshnet.errors import UsageError  # noqa: PLC0415
    from meshnet.lab.launch import launch  # noqa: PLC0415
    from meshnet.lab.record import LabRecords, check_name  # noqa: PLC0415
    from meshnet.lab.underlay import LARGEST_MTU, SMALLEST_MTU  # noqa: PLC0415

    if not SMALLEST_MTU <= args.underlay_mtu <= LARGEST_MTU:
        raise UsageError(f"--underlay-mtu {args.underlay_mtu}: must be from {SMALLEST_MTU} to {LARGEST_MTU}")
    if not 0 <= args.underlay_delay <= 10_000:
        raise UsageError(f"--underlay-delay {args.underlay_delay:g}: must be from 0 to 10000 milliseconds")
    records = LabRecords.of_this_user()
    name = check_name(args.lab or DEFAULT_NAME)
    records.refuse_running(name)
    plan = make_plan(args, name)
    shown = not args.quiet and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    try:
        return launch(plan, records, show_progress if shown else lambda _: None)
    finally:
        if shown:
            print(_ERASE_LINE, end="", file=sys.stderr, flush=True)


def show_progress(step: Mapping[str, Any]) -> None:
    """Show how far a step is, over the last one."""
    print(f"{_ERASE_LINE}{step['step']} {step['done']}/{step['of']}", end="", file=sys.stderr, flush=True)


def print_report(lab: Launched, *, quiet: bool) -> None:
    """Print what is not as it should be, and one line that counts."""
    report = lab.report
    for pod in report["pods"]:
        told = f"pod {pod['namespace']}/{pod['name']} on {pod['node']}: {pod['message'] or pod['phase']}"
        print(printable(told), file=sys.stderr)
    for node in report["silent"]:
        print(f"node {node}: its daemon does not answer (meshnet lab logs {node})", file=sys.stderr)
    for link in report["links"][:MOST_SHOWN]:
        end = f"{link['namespace']}/{link['pod']}:{link['interface']}"
        why = ": ".join(filter(None, (link.get("reason"), link.get("message"))))
        print(printable(f"link end {end}: {link['state']}: {why}"), file=sys.stderr)
    if len(report["links"]) > MOST_SHOWN:
        print(f"... and {len(report['links']) - MOST_SHOWN} more (meshnet get links)", file=sys.stderr)
    if not quiet:
        unplugged = f", {report['down']} unplugged" if report["down"] else ""
        counted = f"{report['up']} of {report['endpoints']} link ends up{unplugged} ({report['seconds']} s)"
        print(f"lab {lab.record.name}: {counted}", flush=True)  # before what CMD of `lab run` writes
