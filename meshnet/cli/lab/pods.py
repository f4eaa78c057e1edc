"""``meshnet lab start``, ``stop``, ``restart`` and ``pods``: the life of pods."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from meshnet.cli.parser import add_output_option
from meshnet.cli.table import Column
from meshnet.lab.outcome import outcome

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from meshnet.cli.lab.verbparser import Verbs

_POD = "NAME or NAMESPACE/NAME"
COLUMNS = [
    Column("NAMESPACE"),
    Column("NAME"),
    Column("NODE"),
    Column("PHASE"),
    Column("COMMANDS"),
    Column("RESTARTS", right=True),
    Column("MESSAGE"),
]


def register(subparsers: Verbs) -> None:
    parser = subparsers.add_parser(
        "restart",
        description="Delete a pod's sandbox (CNI DEL) and make a new one (ADD), as the kubelet would. Where a daemon "
        "that this needs does not answer, the pod stays as it is.",
        example="meshnet lab restart r1 --node n2\nmeshnet lab restart r1 --node n2 --force",
    )
    parser.add_argument("pod", metavar="POD", help=_POD)
    parser.add_argument("--node", metavar="NODE", help="start it there (default: where it was)")
    parser.add_argument(
        "--force",
        action="store_true",
        help="leave the old sandbox alone (no DEL), as when its node is lost; the DEL comes when that node is started "
        "or rejoins",
    )
    parser.set_defaults(run=run, verb="restart")
    parser = subparsers.add_parser(
        "start",
        description="Make a stopped pod's sandbox (CNI ADD) and start its command.",
        example="meshnet lab start r1",
    )
    parser.add_argument("pod", metavar="POD", help=_POD)
    parser.add_argument("--node", metavar="NODE", help="start it there (default: where it was)")
    parser.set_defaults(run=run, verb="start", force=False)
    parser = subparsers.add_parser(
        "stop",
        description="End a pod's command and delete its sandbox (CNI DEL).",
        example="meshnet lab stop r1",
    )
    parser.add_argument("pod", metavar="POD", help=_POD)
    parser.set_defaults(run=run, verb="stop", node=None, force=False)
    parser = subparsers.add_parser(
        "pods",
        description="List the pods of a lab: where they are, and how their commands are.",
        example="meshnet lab pods\nmeshnet lab pods r1 -o json",
    )
    parser.add_argument("pod", metavar="POD", nargs="?", help=f"only this one: {_POD}")
    add_output_option(parser)
    parser.set_defaults(run=list_pods)


def run(args: argparse.Namespace) -> int:
    from meshnet.lab.control import ask_running  # noqa: PLC0415 - `lab up` needs nothing of it

    pod = ask_running(args.lab, args.verb, pod=args.pod, node=args.node, force="yes" if args.force else None)
    if not args.quiet:
        print(f"pod {pod['namespace']}/{pod['name']} on {pod['node']}: {pod['phase']}", file=sys.stderr)
    return 0


def list_pods(args: argparse.Namespace) -> int:
    from meshnet.cli.output import emit  # noqa: PLC0415
    from meshnet.errors import NotFound  # noqa: PLC0415
    from meshnet.lab.control import ask_running  # noqa: PLC0415

    status = ask_running(args.lab, "status")
    rows = [pod for pod in status["pods"] if args.pod in {None, pod["name"], f"{pod['namespace']}/{pod['name']}"}]
    if args.pod is not None and not rows:
        raise NotFound(f"pod {args.pod!r}: not in lab {status['name']}")
    emit(args, rows, COLUMNS, [_cells(pod) for pod in rows])
    return 0


def _cells(pod: Mapping[str, Any]) -> Sequence[str]:
    commands = pod["commands"]
    return (
        pod["namespace"],
        pod["name"],
        pod["node"],
        pod["phase"],
        ", ".join(f"{each['name']}: {condition(each)}" for each in commands),
        str(sum(each["restarts"] for each in commands)) if commands else "",
        pod["message"],
    )


def condition(command: Mapping[str, Any]) -> str:
    """Return in words how a pod's command is."""
    if command["pid"] is not None:
        return "runs"
    if command["error"]:
        return str(command["error"])
    return "is starting" if command["code"] is None else outcome(command["code"])
