"""``meshnet lab start``, ``stop`` and ``restart``: the life of one pod."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

    from meshnet.cli.lab.verbparser import Verbs

_POD = "NAME or NAMESPACE/NAME"


def register(subparsers: Verbs) -> None:
    parser = subparsers.add_parser(
        "restart",
        description="Delete a pod's sandbox (CNI DEL) and make a new one (ADD), as the kubelet would.",
        example="meshnet lab restart r1 --node n2",
    )
    parser.add_argument("pod", metavar="POD", help=_POD)
    parser.add_argument("--node", metavar="NODE", help="start it there (default: where it was)")
    parser.set_defaults(run=run, verb="restart")
    for verb, what in (("start", "Make a pod's sandbox (CNI ADD) and start its command."), ("stop", "The reverse.")):
        parser = subparsers.add_parser(verb, description=what, example=f"meshnet lab {verb} r1")
        parser.add_argument("pod", metavar="POD", help=_POD)
        parser.set_defaults(run=run, verb=verb, node=None)


def run(args: argparse.Namespace) -> int:
    from meshnet.lab.control import ask_lab  # noqa: PLC0415 - `lab up` needs nothing of it
    from meshnet.lab.enter import enter_box  # noqa: PLC0415
    from meshnet.lab.record import find_lab  # noqa: PLC0415

    enter_box(find_lab(args.lab))
    pod, _ = ask_lab(args.verb, pod=args.pod, node=args.node)
    if not args.quiet:
        print(f"pod {pod['namespace']}/{pod['name']} on {pod['node']}: {pod['phase']}", file=sys.stderr)
    return 0
