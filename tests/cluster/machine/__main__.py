"""The test cluster by hand. It stays up until it is taken down, and survives who brought it up."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from tests.cluster.machine import bringup, cluster
from tests.cluster.machine.binaries import find_binaries
from tests.cluster.machine.errors import CannotHereError, ClusterError
from tests.cluster.machine.possible import why_not

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cluster.machine.cluster import Cluster

CANNOT = 77
"""Exit code for what this machine cannot do, as of other tiers."""
NAME = "meshnet"

HOW_TO = """cluster {name} is up: {nodes}
  export KUBECONFIG={kubeconfig} PATH={path}:$PATH
  kubectl get nodes  # a real kubectl
  {script} node n1 ip address  # a command on a node
  {script} load build/meshnet.tar  # an image for all nodes
  kubectl apply -k manifests/base
  {script} power-off n2  # power-on brings it back
  {script} down
Logs of daemons: {logs}/n1/log
Image for pods: localhost/tools:1 (busybox), imagePullPolicy: Never"""


def programs(_arguments: argparse.Namespace) -> None:
    """Build what the cluster runs, where it is not built yet."""
    found = find_binaries(may_build=True)
    print(f"the cluster's programs: {found.kube_home} {found.etcd_home} {found.containerd_home}")


def up(arguments: argparse.Namespace) -> None:
    """Bring the cluster up and tell how to use it."""
    _check_possible()  # before programs are built for many minutes
    made = bringup.up(arguments.name, find_binaries(may_build=True), arguments.nodes)
    directory = made.plane.directory.parent
    script = "scripts/cluster" if made.name == NAME else f"scripts/cluster --name {made.name}"
    told = {"script": script, "kubeconfig": made.kubeconfig, "path": made.kubectl_program.parent, "logs": directory}
    print(HOW_TO.format(name=made.name, nodes=", ".join(made.nodes), **told))
    # its processes stay, and nobody here waits for them
    sys.stdout.flush()
    os._exit(0)


def down(arguments: argparse.Namespace) -> None:
    """Take the cluster away, with all that is left of it."""
    _check_possible()
    cluster.down(arguments.name)


def kubectl(arguments: argparse.Namespace) -> None:
    """Run kubectl as the cluster's administrator."""
    _become(_cluster(arguments).command(*arguments.words))


def node(arguments: argparse.Namespace) -> None:
    """Run a command on a node, as its root."""
    found = _cluster(arguments).node(arguments.node)
    _become(found.command(*arguments.words))


def load(arguments: argparse.Namespace) -> None:
    """Import images on all nodes."""
    _cluster(arguments).import_images(*arguments.archives)


def power_off(arguments: argparse.Namespace) -> None:
    """Pull the plug of a node."""
    _cluster(arguments).node(arguments.node).power_off()


def power_on(arguments: argparse.Namespace) -> None:
    """Boot a node again."""
    _cluster(arguments).node(arguments.node).power_on()
    os._exit(0)


VERBS: dict[str, Callable[[argparse.Namespace], None]] = {
    "up": up,
    "down": down,
    "kubectl": kubectl,
    "node": node,
    "load": load,
    "power-off": power_off,
    "power-on": power_on,
    "programs": programs,
}


def main() -> int:
    arguments = _parser().parse_args()
    try:
        VERBS[arguments.verb](arguments)
    except CannotHereError as reason:
        print(f"cluster: {reason}", file=sys.stderr)
        return CANNOT
    except ClusterError as error:
        print(f"cluster: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/cluster", description=__doc__)
    parser.add_argument("--name", default=NAME, help="of the cluster, when there is more than one (default: meshnet)")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    parsers = {name: verbs.add_parser(name, help=verb.__doc__) for name, verb in VERBS.items()}
    parsers["up"].add_argument("--nodes", type=int, default=3, help="how many (default: 3)")
    parsers["load"].add_argument("archives", nargs="+", type=Path, metavar="ARCHIVE")
    for name in ("node", "power-off", "power-on"):
        parsers[name].add_argument("node", metavar="NODE")
    for name in ("kubectl", "node"):
        parsers[name].add_argument("words", nargs=argparse.REMAINDER, metavar="ARGUMENT")
    return parser


def _check_possible() -> None:
    """Raise CannotHereError where this machine, or who is not root on it, can have no cluster."""
    if reason := why_not():
        raise CannotHereError(reason)


def _cluster(arguments: argparse.Namespace) -> Cluster:
    return cluster.find(arguments.name, find_binaries(may_build=False))


def _become(command: list[str]) -> NoReturn:
    os.execvp(command[0], command)


if __name__ == "__main__":
    sys.exit(main())
