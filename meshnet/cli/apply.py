"""``meshnet apply``: create or change Topologies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshnet.cli.delete import held
from meshnet.cli.files import FILE_HELP, read_topologies
from meshnet.cli.output import said_at_the_end
from meshnet.cli.parser import add_namespace_option
from meshnet.cli.target import find_target
from meshnet.errors import NotFound
from meshnet.model.resource import Kind

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Mapping
    from typing import Any

    from meshnet.cli.parser import Subparsers
    from meshnet.stores.base import Store


def register(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "apply",
        description="Create the Topologies in the files, or change those that exist. Running pods follow, without a "
        "restart. Labels, annotations, finalizers and owners that an object has stay, and those in its file are added; "
        "its spec is replaced. Nothing is applied when a Topology in the files is not valid; `meshnet check` tells "
        "besides whether the ends of a link agree, and its driver takes its options.",
        example="meshnet apply -f examples/3node.yml",
    )
    parser.add_argument(
        "-f", "--filename", dest="files", metavar="FILE", nargs="+", action="extend", required=True, help=FILE_HELP
    )
    add_namespace_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    target = find_target(args)
    topologies = read_topologies(args.files, args.namespace or target.namespace, quiet=args.quiet)

    with said_at_the_end(quiet=args.quiet) as said:
        target.with_store(lambda store: _apply(store, topologies, said))
    return 0


async def _apply(store: Store, topologies: Iterable[Mapping[str, Any]], said: list[str]) -> None:
    for document in topologies:
        done = await apply_one(store, document)
        said.append(f"topology {document['metadata']['namespace']}/{document['metadata']['name']} {done}")


async def apply_one(store: Store, document: Mapping[str, Any]) -> str:
    """Apply one Topology; return ``created``, ``changed`` or ``unchanged``, and whether it will not last."""
    metadata = document["metadata"]
    try:
        before = await store.get(Kind.TOPOLOGY, metadata["namespace"], metadata["name"])
    except NotFound:
        await store.apply(document)
        return "created"
    after = await store.apply(document)
    done = "unchanged" if after.resource_version == before.resource_version else "changed"
    return f"{done}, but is {held(after)}" if after.metadata.get("deletionTimestamp") else done
