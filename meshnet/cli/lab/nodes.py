"""``meshnet lab node`` and ``nodes``: the daemon of a node, and its uplink."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from meshnet.cli.parser import add_output_option
from meshnet.cli.table import Column

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from meshnet.cli.lab.verbparser import Verbs

ACTIONS = {
    "start": "start its daemon",
    "stop": "end its daemon by SIGTERM",
    "kill": "end its daemon by SIGKILL",
    "isolate": "unplug its uplink, or let frames vanish there (--direction); addresses and routes stay",
    "rejoin": "undo every isolation",
}
COLUMNS = [
    Column("NAME"),
    Column("ADDRESS"),
    Column("UPLINK"),
    Column("UPLINK STATE"),
    Column("DAEMON"),
    Column("PID", wide=True, right=True),
]


def register(subparsers: Verbs) -> None:
    parser = subparsers.add_parser(
        "node",
        description="Do something to a node: " + "; ".join(f"{name}: {what}" for name, what in ACTIONS.items()) + ".",
        example="meshnet lab node n1 kill\nmeshnet lab node n1 start\nmeshnet lab node n2 isolate --direction in",
    )
    parser.add_argument("node", metavar="NODE", help="its name: n1, n2, ...")
    parser.add_argument("action", choices=tuple(ACTIONS), help="what to do")
    parser.add_argument(
        "--direction",
        choices=("in", "out", "both"),
        help="with isolate: frames to the node, from it, or both vanish silently, and the uplink keeps its carrier "
        "(default: the uplink is unplugged: no carrier)",
    )
    parser.set_defaults(run=run)
    parser = subparsers.add_parser(
        "nodes",
        description="List the nodes of a lab, with how their uplinks and daemons are.",
        example="meshnet lab nodes",
    )
    add_output_option(parser)
    parser.set_defaults(run=list_nodes)


def run(args: argparse.Namespace) -> int:
    from meshnet.errors import UsageError  # noqa: PLC0415 - `lab up` needs nothing of it
    from meshnet.lab.control import ask_running  # noqa: PLC0415

    if args.direction and args.action != "isolate":
        raise UsageError(f"--direction {args.direction}: only isolate takes it, not {args.action}")
    node = ask_running(args.lab, "node", name=args.node, action=args.action, direction=args.direction)
    if not args.quiet:
        print(f"node {node['name']}: daemon {node['daemon']}, uplink {node['uplink_state']}", file=sys.stderr)
    return 0


def list_nodes(args: argparse.Namespace) -> int:
    from meshnet.cli.output import emit  # noqa: PLC0415
    from meshnet.lab.control import ask_running  # noqa: PLC0415

    nodes = ask_running(args.lab, "status")["nodes"]
    emit(args, nodes, COLUMNS, [_cells(node) for node in nodes])
    return 0


def _cells(node: Mapping[str, Any]) -> Sequence[str]:
    words = [node[name] for name in ("name", "address", "uplink", "uplink_state", "daemon", "pid")]
    return ["" if word is None else str(word) for word in words]
