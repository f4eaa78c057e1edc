"""``meshnet get``: what there is, and how it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshnet.cli.output import emit
from meshnet.cli.parser import add_namespace_option, add_output_option
from meshnet.cli.table import with_namespace
from meshnet.cli.target import find_target
from meshnet.cli.views import KINDS, view_of
from meshnet.cli.views.base import Query
from meshnet.errors import NotFound, UsageError

if TYPE_CHECKING:
    import argparse

    from meshnet.cli.parser import Subparsers

ALIASES = {
    "topology": "topologies",
    "topo": "topologies",
    "link": "links",
    "node": "nodes",
    "sandbox": "sandboxes",
    "driver": "drivers",
    "event": "events",
}


def register(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "get",
        description="Show what there is. Topologies and events come from the store. Links are as their daemons say "
        "now, asked for 3 seconds at most; where one is not reached, state and reason are those it last wrote into the "
        "store, and carrier, MTU and counters are left out (`stale`).",
        example="meshnet get links\nmeshnet get links r1:eth1 -o json\nmeshnet get topologies -A",
    )
    parser.add_argument("what", metavar="WHAT", type=_what, help=" | ".join(KINDS))
    parser.add_argument(
        "name", metavar="NAME", nargs="?", help="only this one; a link by either end, POD:INTERFACE, or by its POD"
    )
    add_namespace_option(parser, every=True)
    add_output_option(parser)
    parser.set_defaults(run=run)


def _what(text: str) -> str:
    what = ALIASES.get(text, text)
    if what not in KINDS:
        raise UsageError(f"get {text}: there are {', '.join(KINDS)}")
    return what


def run(args: argparse.Namespace) -> int:
    view = view_of(args.what)
    target = find_target(args)
    namespace = None if args.all_namespaces else args.namespace or target.namespace
    query = Query(target, namespace, args.name, quiet=args.quiet)
    found = view.read(query)
    if args.name is not None and not found:
        where = f" in namespace {query.namespace}" if query.namespace and view.namespaced else ""
        raise NotFound(f"{args.what}: there is no {args.name!r}{where}")
    columns = with_namespace(view.columns) if args.all_namespaces else view.columns
    hint = f" in namespace {query.namespace} (-A: in all)" if query.namespace and view.namespaced else ""
    emit(args, found, columns, [view.cells(row) for row in found], empty=f"no {args.what}{hint}")
    return 0
