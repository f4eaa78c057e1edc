"""``POD:INTERFACE``: how a command line names a link, by either of its ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshnet.errors import NotFound, UsageError
from meshnet.model import rules
from meshnet.model.topology import Endpoint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshnet.cli.links import End


def parse_place(text: str, namespace: str) -> Endpoint:
    """Return the endpoint that ``[NAMESPACE/]POD:INTERFACE`` names. Raises UsageError."""
    path, colon, interface = text.rpartition(":")
    given, slash, pod = path.rpartition("/")
    if not colon or not interface or not pod or (slash and not given) or "/" in given + interface:
        raise UsageError(f"link {text!r}: name it as POD:INTERFACE or NAMESPACE/POD:INTERFACE, as in r1:eth1")
    if given and not rules.is_label(given):
        raise UsageError(f"link {text!r}: there can be no namespace {given!r}")
    return Endpoint(given or namespace, pod, interface)


def find_end(ends: Sequence[End], place: Endpoint) -> End:
    """Return the end at `place`, or the other end of the link that is declared to go there. Raises NotFound."""
    at = (place.namespace, place.pod, place.interface)
    for end in ends:
        if (end.namespace, end.pod, end.interface) == at:
            return end
    for end in ends:
        if (end.namespace, end.peer_pod, end.peer_interface) == at:
            return end
    known = [f"{end.pod}:{end.interface}" for end in ends if end.namespace == place.namespace]
    there = f"; its links: {', '.join(sorted(known)[:20])}" if known else "; it has none"
    raise NotFound(f"link {place}: no Topology of namespace {place.namespace} declares it{there}")
