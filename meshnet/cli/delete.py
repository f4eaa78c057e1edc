"""``meshnet delete``: remove Topologies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshnet.cli.files import FILE_HELP, read_topologies
from meshnet.cli.output import said_at_the_end
from meshnet.cli.parser import add_namespace_option
from meshnet.cli.target import find_target
from meshnet.errors import NotFound, UsageError
from meshnet.model import rules
from meshnet.model.resource import Kind, ObjectKey

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from meshnet.cli.parser import Subparsers
    from meshnet.model.resource import Resource
    from meshnet.stores.base import Store


def register(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "delete",
        description="Delete Topologies, by file or by name. The pods' interfaces stay until the pods end; their links "
        "are unplugged at once; on a cluster when no finalizer holds the Topology any more.",
        example="meshnet delete topology r1\nmeshnet delete -f examples/3node.yml",
    )
    parser.add_argument("-f", "--filename", dest="files", metavar="FILE", nargs="+", action="extend", help=FILE_HELP)
    parser.add_argument("named", metavar="topology NAME", nargs="*", help="the word `topology` and a name or several")
    add_namespace_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    _refuse_unclear(args)
    target = find_target(args)
    keys = _keys(args, args.namespace or target.namespace)

    with said_at_the_end(quiet=args.quiet) as said:
        missing = target.with_store(lambda store: delete_all(store, keys, said))
    if missing:
        others = "; the others are deleted" if len(missing) < len(keys) else ""
        raise NotFound(f"topology {', '.join(missing)}: not there{others}")
    return 0


async def delete_all(store: Store, keys: Sequence[ObjectKey], said: list[str]) -> list[str]:
    """Delete Topologies by (namespace, name); return those that are not there. What was done is added to `said`."""
    missing = []
    for namespace, name in keys:
        try:
            left = await store.delete(Kind.TOPOLOGY, namespace, name)
        except NotFound:
            missing.append(f"{namespace}/{name}")
        else:
            said.append(f"topology {namespace}/{name} {'deleted' if left is None else f'is {held(left)}'}")
    return missing


def held(topology: Resource) -> str:
    """Return what there is to say of a Topology that was deleted and is still there."""
    finalizers = ", ".join(topology.metadata["finalizers"])
    return f"to be deleted: it and its links stay until its finalizers are gone: {finalizers}"


def _refuse_unclear(args: argparse.Namespace) -> None:
    """Raise UsageError unless there is one way to tell what is to be deleted."""
    if bool(args.files) == bool(args.named):
        raise UsageError("delete: give either -f FILE... or `topology NAME...`")
    if args.named and (args.named[0] not in ("topology", "topologies", "topo") or not args.named[1:]):
        raise UsageError(f"delete {' '.join(args.named)}: right would be `meshnet delete topology NAME`")


def _keys(args: argparse.Namespace, namespace: str) -> Sequence[ObjectKey]:
    """Return (namespace, name) of what is to be deleted."""
    if args.files:
        topologies = read_topologies(args.files, namespace, quiet=args.quiet)
        return [(document["metadata"]["namespace"], document["metadata"]["name"]) for document in topologies]
    return [(namespace, _name(name)) for name in dict.fromkeys(args.named[1:])]


def _name(text: str) -> str:
    """Return a name as typed. Raises UsageError when no pod can have it: most often a variable that is not set."""
    try:
        return rules.pod_name(text)
    except rules.RuleError as error:
        raise UsageError(f"delete topology {text!r}: {error}") from error
