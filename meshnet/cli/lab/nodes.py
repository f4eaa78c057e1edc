"""``meshnet lab node``: the daemon of a node, or its uplink."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

    from meshnet.cli.lab.verbparser import Verbs

ACTIONS = {
    "start": "start its daemon",
    "stop": "end its daemon by SIGTERM",
    "kill": "end its daemon by SIGKILL",
    "isolate": "unplug its uplink",
    "rejoin": "plug its uplink in again",
}


def register(subparsers: Verbs) -> None:
    parser = subparsers.add_parser(
        "node",
        description="Do something to a node: " + "; ".join(f"{name}: {what}" for name, what in ACTIONS.items()) + ".",
        example="meshnet lab node n1 kill\nmeshnet lab node n1 start",
    )
    parser.add_argument("node", metavar="NODE", help="its name: n1, n2, ...")
    parser.add_argument("action", choices=tuple(ACTIONS), help="what to do")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from meshnet.lab.control import ask_lab  # noqa: PLC0415 - `lab up` needs nothing of it
    from meshnet.lab.enter import enter_box  # noqa: PLC0415
    from meshnet.lab.record import find_lab  # noqa: PLC0415

    enter_box(find_lab(args.lab))
    node, _ = ask_lab("node", name=args.node, action=args.action)
    if not args.quiet:
        uplink = "unplugged" if node["isolated"] else "plugged in"
        print(f"node {node['name']}: daemon {node['daemon']}, uplink {uplink}", file=sys.stderr)
    return 0
