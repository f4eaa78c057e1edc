"""``meshnet wait``: until links are up, or down."""

from __future__ import annotations

import asyncio
import sys
import time
from collections import defaultdict
from typing import TYPE_CHECKING

from meshnet.cli.links import End, as_known, badness, ends
from meshnet.cli.parser import add_namespace_option, seconds
from meshnet.cli.place import find_end, parse_place
from meshnet.cli.target import find_target
from meshnet.errors import MeshnetError, NotFound, StoreUnavailable
from meshnet.model.printable import printable
from meshnet.model.resource import Kind

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Sequence

    from meshnet.cli.parser import Subparsers
    from meshnet.cli.targets.base import Target
    from meshnet.model.topology import Endpoint
    from meshnet.stores.base import Store

DEFAULT_TIMEOUT_S = 60.0
PAUSE_S, LONGEST_PAUSE_S = 0.1, 3.0
MOST_SHOWN = 20
"""Links that are not as wanted, told one by one; the rest is counted."""
ASKING = "not every daemon has answered yet"
WANTED = {"up": "Up", "down": "Down"}


def register(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "wait",
        description="Wait until every LINK is up, or down, as both its ends report it for the Topology as it is now. "
        "Exit code 1 when they are not within the time: which, and why; at once where there is no Topology at all.",
        example="meshnet wait --for up r1:eth1 r2:eth2 --timeout 30",
    )
    parser.add_argument("--for", dest="wanted", choices=tuple(WANTED), required=True, help="what to wait for")
    parser.add_argument(
        "--timeout",
        type=seconds,
        default=DEFAULT_TIMEOUT_S,
        metavar="SECONDS",
        help=f"how long at most (default: {DEFAULT_TIMEOUT_S:g})",
    )
    parser.add_argument("places", metavar="LINK", nargs="*", help="POD:INTERFACE (default: all of the namespace)")
    add_namespace_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    target = find_target(args)
    namespace = args.namespace or target.namespace
    places = [parse_place(text, namespace) for text in args.places]
    progress = not args.quiet and sys.stderr.isatty()
    waiting = Waiting(places, namespace, WANTED[args.wanted], target, progress=progress)

    async def within_time(store: Store) -> None:
        try:
            async with asyncio.timeout(args.timeout):
                await waiting.on(store)
        except TimeoutError:
            if not waiting.told:
                raise StoreUnavailable(f"{target.name}: no answer within {args.timeout:g} s") from None
            why = "; ".join(filter(None, (waiting.told, waiting.remark)))
            raise MeshnetError(f"not {args.wanted} after {args.timeout:g} s: {why}") from None

    target.with_store(within_time)
    if waiting.remark and not args.quiet:
        print(printable(waiting.remark), file=sys.stderr)
    return 0


class Waiting:
    """Follows the Topologies until the links are as wanted.

    Args:
        places: an end of each link; none for every link of `namespace`.
        namespace: of the links when no place is given.
        wanted: a state of a link.
        target: where they are; what its daemons say goes before what they wrote into the store some seconds ago.
        progress: whether to tell what is missing at every change.

    Attributes:
        told: which links are not as wanted, and why; ``""`` as long as the store has not answered.
        remark: which daemons were not reached the last time, or that there is no link to wait for.
    """

    def __init__(
        self, places: Sequence[Endpoint], namespace: str, wanted: str, target: Target, *, progress: bool
    ) -> None:
        self._places = places
        self._namespace = namespace
        # no others: who waits may have rights in one namespace alone
        self._namespaces = sorted({place.namespace for place in places} or {namespace})
        self._wanted = wanted
        self._target = target
        self._progress = progress
        self.told = ""
        self.remark = ""

    async def on(self, store: Store) -> None:
        """Return as soon as all links are as wanted.

        Raises NotFound when a place is no end of any link, or none is given and the namespace has no Topology: a
        mistyped one must not pass for a network that is up. DaemonUnreachable when the lab has ended.
        """
        shown = ""
        while True:
            began = time.monotonic()
            listings = [await store.list(Kind.TOPOLOGY, namespace) for namespace in self._namespaces]
            topologies = [topology for listing in listings for topology in listing.items]
            if not topologies and not self._places:
                raise NotFound(f"namespace {self._namespace} of {self._target.name} has no Topology to wait for")
            stored = ends(topologies)
            if not stored and not self._places:
                self.remark = f"no links in namespace {self._namespace}"
                return
            self.told = self.told or _told(self._missing(stored)) or ASKING
            asked = await asyncio.to_thread(self._target.ask, "states")
            if not asked.told:
                await asyncio.to_thread(self._target.look)
            self.remark = asked.remark()
            missing = _told(self._missing(as_known(stored, asked.rows("states"))))
            if not missing:
                return
            if missing != shown and self._progress:
                print(f"waiting for: {printable(missing)}", file=sys.stderr)
            self.told = shown = missing
            # A large lab is not kept busy by being asked; a node that does not answer must not make it last.
            await asyncio.sleep(min(max(PAUSE_S, 4 * (time.monotonic() - began)), LONGEST_PAUSE_S))

    def _missing(self, every: Sequence[End]) -> list[str]:
        if self._places:
            chosen = [(str(place), find_end(every, place)) for place in self._places]
        else:
            chosen = _one_end_of_each(every)
        together: defaultdict[object, list[End]] = defaultdict(list)
        for end in every:
            together[end.link].append(end)
        found = []
        for name, end in chosen:
            late = [one for one in together[end.link] if not one.observed or one.state != self._wanted]
            if late:
                found.append(f"{name}: {_why(max(late, key=_badness))}")
        return found


def _told(missing: Sequence[str]) -> str:
    more = [f"and {len(missing) - MOST_SHOWN} more (meshnet get links)"] if len(missing) > MOST_SHOWN else []
    return "; ".join([*missing[:MOST_SHOWN], *more])


def _one_end_of_each(every: Iterable[End]) -> list[tuple[str, End]]:
    first: dict[object, End] = {}
    for end in every:
        first.setdefault(end.link, end)
    return [(f"{end.namespace}/{end.pod}:{end.interface}", end) for end in first.values()]


def _badness(end: End) -> int:
    """What keeps a link waiting is told by its worse end; of one not looked at yet no more is known than that."""
    return badness(end.state if end.observed else "Pending")


def _why(end: End) -> str:
    if not end.observed and end.node:
        return f"node {end.node} has not acted on the change of {end.pod} yet"
    reason = ", ".join(filter(None, (end.entry.get("reason"), end.entry.get("message"))))
    return f"{end.state}" + (f" ({reason})" if reason else "")
