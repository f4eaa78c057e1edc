"""``meshnet link down|up``: unplug a cable, plug it in again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from meshnet.backoff import doubling, spread
from meshnet.cli.links import End, ends
from meshnet.cli.output import said_at_the_end
from meshnet.cli.parser import add_namespace_option
from meshnet.cli.place import find_end, parse_place
from meshnet.cli.target import find_target
from meshnet.errors import Conflict, MeshnetError
from meshnet.model.resource import Kind

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from meshnet.cli.parser import Subparsers
    from meshnet.stores.base import Store

PATIENCE_S = 10.0
"""So long is a patch tried anew while others write the same Topology, as who unplugs all links of a pod at once."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.01, 0.5

PLACE_HELP = "either end of the link: POD:INTERFACE, or NAMESPACE/POD:INTERFACE"


def register(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "link",
        description="Unplug or plug the cable of a link. Both ends lose or gain carrier.",
        example="meshnet link down r1:eth1\nmeshnet link up r1:eth1",
    )
    verbs = parser.add_subparsers(title="verbs", dest="verb", metavar="down|up", required=True)
    for verb, purpose in (("down", "unplug: sets `down` at this end"), ("up", "plug: clears `down` at both ends")):
        sub = verbs.add_parser(verb, help=purpose, description=purpose, example=f"meshnet link {verb} r1:eth1")
        sub.add_argument("place", metavar="POD:INTERFACE", help=PLACE_HELP)
        add_namespace_option(sub)
        sub.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    target = find_target(args)
    place = parse_place(args.place, args.namespace or target.namespace)
    down = args.verb == "down"

    async def change(store: Store) -> None:
        listed = ends((await store.list(Kind.TOPOLOGY, place.namespace)).items)
        end = find_end(listed, place)
        # one `down` unplugs the cable, so plugging it in must clear both
        both = [other for other in listed if other.link == end.link]
        for one in [end] if down else both:
            if line := await set_down(store, one, down=down):
                said.append(line)

    with said_at_the_end(quiet=args.quiet) as said:
        target.with_store(change)
        if not said:
            said.append(f"{place}: link is {args.verb} already")
    return 0


async def set_down(store: Store, end: End, *, down: bool) -> str:
    """Write `down` into one end's entry of `spec.links`; return what was done, ``""`` for nothing to do.

    Raises Conflict when others write this Topology all the time.
    """
    clock = asyncio.get_running_loop().time
    until = clock() + PATIENCE_S
    pauses = doubling(FIRST_PAUSE_S, LONGEST_PAUSE_S)
    while True:
        try:
            return await _try_to_set(store, end, down=down)
        except Conflict as error:
            if clock() > until:
                told = f"others change it all the time, for {PATIENCE_S:g} s now; try again"
                raise Conflict(f"Topology {end.namespace}/{end.pod}: {told}") from error
        await asyncio.sleep(spread(next(pauses)))


async def _try_to_set(store: Store, end: End, *, down: bool) -> str:
    topology = await store.get(Kind.TOPOLOGY, end.namespace, end.pod)
    links = [dict(link) for link in topology.spec.get("links") or ()]
    entry = _entry(links, end)
    if bool(entry.get("down")) == down:
        return ""
    if down:
        entry["down"] = True
    else:
        del entry["down"]
    # a merge patch replaces a list as a whole: the version says that nobody else's change is lost
    await store.patch(
        Kind.TOPOLOGY,
        end.namespace,
        end.pod,
        {"spec": {"links": links}},
        resource_version=topology.resource_version,
    )
    return f"{end.namespace}/{end.pod}:{end.interface}: {'unplugged' if down else 'plugged in'}"


def _entry(links: Sequence[dict[str, Any]], end: End) -> dict[str, Any]:
    for link in links:
        if link.get("local_intf") == end.interface and link.get("uid") == end.uid:
            return link
    raise MeshnetError(f"Topology {end.namespace}/{end.pod}: the link of {end.interface} was removed meanwhile")
