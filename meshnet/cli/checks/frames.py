"""Whether links that say that they are up carry: what one end sends, the other one gets.

The daemons know that each other's nodes answer, and the kernel that its devices are there. What lies between, such as a
firewall that lets the daemons through and not a driver's own packets, shows in the counters of both ends alone.
"""

from __future__ import annotations

import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from meshnet.cli.checks.finding import Finding, Outcome
from meshnet.cli.links import join

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from meshnet.cli.links import End
    from meshnet.cli.targets.base import Target

    Rows = Sequence[Mapping[str, Any]]

WATCHED_S = 3.0
"""How long ends are watched: those of routers, or of a ping that goes on, send something."""
FEWEST = 2
"""Packets in that time: a single one may be lost, as by anything."""
ARRIVED_S = 0.5
"""How long what was sent may be on its way."""
SHOWN = 3
"""Ends that are named of those between the same two nodes."""
_CURE = (
    "does a firewall, a security group or a NAT between these nodes let the driver's own packets through? Its "
    "documentation tells the port"
)
_CURE_WITHIN = "meshnet get links -o json has the counters of both ends; the daemon's log may tell more"


class Direction(NamedTuple):
    """One way of a link: who sends, and who should get it."""

    driver: str
    nodes: tuple[str, str]
    sender: str
    receiver: str


class Counted(NamedTuple):
    """Packets that the sender has sent, and the receiver got."""

    sent: int
    received: int


def check_frames(target: Target, declared: Sequence[End]) -> list[Finding]:
    """Return whether what ends of links send now arrives. Takes 3 s where there are links. Raises MeshnetError.

    Args:
        target: whose daemons are asked, more than once.
        declared: the ends of all its Topologies.
    """
    return compare(lambda: join(declared, target.ask("links").rows("links")), time.sleep)


def compare(look: Callable[[], Rows], pause: Callable[[float], None]) -> list[Finding]:
    """Look at the receivers, at the senders, after a while at these again, and when what they sent is there.

    The nodes do not answer at one moment: what is sent after the second look, and before the third, comes to a node
    after the first, and before the last, however late each answers.
    """
    first = _directions(look())
    if not first:
        return []
    before = _directions(look())
    pause(WATCHED_S)
    then = _directions(look())
    sending = [way for way in first.keys() & before.keys() & then.keys() if _sends(before[way], then[way])]
    if all(then[way].received != first[way].received for way in sending):
        return _fine(sending)
    pause(ARRIVED_S)
    later = _directions(look())
    lost = [way for way in sending if way in later and later[way].received == first[way].received]
    return _lost(lost) or _fine(sending)


def _sends(before: Counted, then: Counted) -> bool:
    return then.sent - before.sent >= FEWEST


def _directions(rows: Rows) -> dict[Direction, Counted]:
    return {way: counted for row in rows if row["state"] == "Up" for way, counted in _of_link(row)}


def _of_link(row: Mapping[str, Any]) -> Iterator[tuple[Direction, Counted]]:
    """Yield both ways of a link, if both of its ends tell what they have counted."""
    pair = row["endpoints"]
    if len(pair) != 2 or not all(map(_tells, pair)):
        return
    for sender, receiver in (pair, pair[::-1]):
        names = [f"{row['namespace']}/{end['pod']}:{end['interface']}" for end in (sender, receiver)]
        way = Direction(row["driver"] or "", (sender["node"], receiver["node"]), *names)
        yield way, Counted(sender["counters"]["tx_packets"], receiver["counters"]["rx_packets"])


def _tells(end: Mapping[str, Any]) -> bool:
    counters = end.get("counters") or {}
    return None not in (counters.get("tx_packets"), counters.get("rx_packets"))


def _fine(sending: Sequence[Direction]) -> list[Finding]:
    if not sending:
        return []
    return [Finding("links", "frames", Outcome.OK, f"arrive, from each of the {len(sending)} ends that send now")]


def _lost(lost: Sequence[Direction]) -> list[Finding]:
    """Return a finding for each driver and way between two nodes by which nothing comes."""
    alike: defaultdict[tuple[str, tuple[str, str]], list[Direction]] = defaultdict(list)
    for way in sorted(lost):
        alike[way.driver, way.nodes].append(way)
    return [_nothing(driver, nodes, ways) for (driver, nodes), ways in alike.items()]


def _nothing(driver: str, nodes: tuple[str, str], ways: Sequence[Direction]) -> Finding:
    source, destination = nodes
    named = ", ".join(f"{way.sender} to {way.receiver}" for way in ways[:SHOWN])
    more = f", and {len(ways) - SHOWN} more" if len(ways) > SHOWN else ""
    about = f"{driver} {source} to {destination}" if source != destination else f"{driver} on {source}"
    told = f"links are up, and nothing of what is sent arrives: {named}{more}"
    return Finding("links", about, Outcome.FAIL, told, _CURE if source != destination else _CURE_WITHIN)
