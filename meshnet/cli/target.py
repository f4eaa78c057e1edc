"""Where a command acts: what was said decides, then what runs or lies here."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from meshnet.errors import UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from meshnet.cli.targets.base import Target

NO_CLUSTER = "no kubeconfig names a cluster (KUBECONFIG, ~/.kube/config, or --kubeconfig FILE)"
NO_NODE = "no node is named by MESHNET_STORE and MESHNET_SOCKET"
NOTHING = f"nothing to act on: no lab runs (start one: meshnet lab up FILE), {NO_CLUSTER}, and {NO_NODE}"
NOTHING_TO_KUBECTL = f"nothing to act on: {NO_CLUSTER}, no lab is named (--lab, MESHNET_LAB), and {NO_NODE}"


class NothingHere(UsageError):  # noqa: N818 - what happened
    """Nothing was named to act on, and nothing is here."""


def find_target(args: argparse.Namespace, environ: Mapping[str, str] = os.environ) -> Target:
    """Return where this command acts: a lab, a cluster or a node. Nothing of it is touched yet.

    Raises UsageError naming what could be given, and InvalidObject for a kubeconfig that is none.
    """
    if names_cluster(args):
        _refuse_both(args)
    elif args.lab:
        return _lab(args.lab)
    elif environ.get("MESHNET_STORE") or environ.get("MESHNET_SOCKET"):
        return _node(environ)
    # Who types `kubectl` means a cluster, whatever runs on this machine.
    elif not args.kubectl and (lab := _running_lab()):
        return lab
    if cluster := _cluster(args, environ):
        return cluster
    raise NothingHere(NOTHING_TO_KUBECTL if args.kubectl else NOTHING)


def names_cluster(args: argparse.Namespace) -> bool:
    """Tell whether an option names a cluster."""
    return bool(_cluster_options(args))


def names_place(args: argparse.Namespace) -> bool:
    """Tell whether an option names a lab or a cluster."""
    return bool(_lab_option(args) or _cluster_options(args))


def _lab_option(args: argparse.Namespace) -> list[str]:
    """Return the option that names a lab, as it was typed."""
    return [f"--lab {args.typed_lab}"] if args.typed_lab else []


def _cluster_options(args: argparse.Namespace) -> list[str]:
    """Return the options that name a cluster, as they were typed."""
    given = ((option, getattr(args, option)) for option in ("context", "kubeconfig"))
    return [f"--{option} {value}" for option, value in given if value is not None]


def refuse_elsewhere(args: argparse.Namespace, command: str) -> None:
    """Raise UsageError when a lab or a cluster is named, for commands that act on this machine itself alone."""
    named = _lab_option(args) + _cluster_options(args) + (["kubectl meshnet"] if args.kubectl else [])
    if named:
        elsewhere = "in a daemon's pod: kubectl exec; on a lab's node: meshnet lab exec"
        raise UsageError(f"{', '.join(named)}: meshnet {command} acts on this machine; {elsewhere}")


def refuse_cluster(args: argparse.Namespace) -> None:
    """Raise UsageError when an option names a cluster, for commands that act on labs alone."""
    named = _cluster_options(args)
    if named:
        raise UsageError(
            f"{named[0]}: meshnet lab acts on labs of this machine alone, named by --lab; "
            "for a cluster: kubectl apply, meshnet apply, meshnet get"
        )


def _refuse_both(args: argparse.Namespace) -> None:
    if _lab_option(args):  # what was typed goes before the environment
        raise UsageError(f"--lab {args.lab}: give either a lab, or --context or --kubeconfig for a cluster")


# Each place is imported when it is meant: a lab needs no HTTP, a cluster no namespaces.


def _lab(name: str | None) -> Target:
    from meshnet.cli.targets.lab import Lab  # noqa: PLC0415

    return Lab.running(name)


def _running_lab() -> Target | None:
    from meshnet.lab.record import LabRecords  # noqa: PLC0415

    return _lab(None) if LabRecords.of_this_user().running() else None


def _node(environ: Mapping[str, str]) -> Target:
    from meshnet.cli.targets.node import Node  # noqa: PLC0415

    return Node.of(environ)


def _cluster(args: argparse.Namespace, environ: Mapping[str, str]) -> Target | None:
    from meshnet.cli.cluster.kubeconfig import choose  # noqa: PLC0415

    chosen = choose(args.kubeconfig, args.context, environ)
    if chosen is None:
        return None
    from meshnet.cli.cluster.target import Cluster  # noqa: PLC0415

    return Cluster(chosen)
