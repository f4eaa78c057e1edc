"""``meshnet lab``: topologies on this machine, without Kubernetes. One module a group of verbs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshnet.cli.lab import down, nodes, pods, runs, shell, up
from meshnet.cli.lab.verbparser import VerbParser
from meshnet.cli.target import refuse_cluster

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from meshnet.cli.parser import Subparsers

DESCRIPTION = (
    "A lab is meshnet without Kubernetes: nodes and pods are network namespaces of this machine, every node runs the "
    "real daemon, and pods go through the real CNI plugin. It lives in a box of its own: `lab down` leaves nothing. "
    "Root is not needed where the machine allows user namespaces."
)


def register(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "lab", description=DESCRIPTION, example="meshnet lab up examples/3node.yml\nmeshnet lab exec r1 -- ip address"
    )
    verbs = parser.add_subparsers(title="verbs", dest="verb", metavar="VERB", required=True, parser_class=VerbParser)
    for module in (up, down, shell, pods, nodes, runs):
        module.register(verbs)
    for verb in verbs.choices.values():
        verb.set_defaults(run=_on_labs(verb.get_default("run")))


def _on_labs(run: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    """Return `run` for labs alone: who names a cluster is told, before anything is done elsewhere than was meant."""

    def checked(args: argparse.Namespace) -> int:
        refuse_cluster(args)
        return run(args)

    return checked
