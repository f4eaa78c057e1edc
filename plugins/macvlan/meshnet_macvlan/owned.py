"""Finding the macvlans that are ours: in a pod, and in every pod of the node."""

from __future__ import annotations

import errno
import hashlib
from typing import TYPE_CHECKING

from meshnet.errors import KernelError
from meshnet.model.names import parse_mark
from meshnet.netlink import links
from meshnet.netlink.netns import dump_nsids, parse_nsid
from meshnet_macvlan.requests import parse_macvlan

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshnet.model.names import Mark
    from meshnet.model.topology import Endpoint
    from meshnet.netlink import Netlink
    from meshnet_macvlan.requests import Macvlan


def birth_name(alias: str) -> str:
    """Return the name that a macvlan has until it is marked: 15 bytes that nobody else would choose.

    The kernel takes no alias in the message that makes a link. What a daemon killed in between has left is known by
    this name.
    """
    return "mv" + hashlib.blake2b(alias.encode(), digest_size=8).hexdigest()[:13]


def in_namespace(netlink: Netlink, nsid: int) -> list[Macvlan]:
    """Return every macvlan in a namespace, anybody's; none when the namespace is gone. Raises KernelError."""
    try:
        payloads = netlink.dump(links.dump_links(nsid), steady=False)
    except KernelError as error:
        if error.errno == errno.EINVAL:  # no namespace has that number any more
            return []
        raise
    return [found for found in map(parse_macvlan, payloads) if found is not None]


def find(netlink: Netlink, nsid: int, endpoint: Endpoint, alias: str) -> Macvlan | None:
    """Return the macvlan of an endpoint in its pod, by its mark and never by the name that the pod may change.

    One made for an earlier link of the same interface counts, and one left half made. Raises KernelError.
    """
    for found in in_namespace(netlink, nsid):
        mark = parse_mark(found.info.alias)
        if found.info.alias == alias or (mark is not None and mark.is_of(endpoint)):
            return found
        if not found.info.alias and found.info.name == birth_name(alias):
            return found
    return None


def everywhere(netlink: Netlink) -> Iterator[tuple[int, Macvlan, Mark]]:
    """Yield (nsid, macvlan, mark) of those that are marked, in every namespace with a number. Raises KernelError."""
    for nsid in map(parse_nsid, netlink.dump(dump_nsids())):
        for found in in_namespace(netlink, nsid):
            mark = parse_mark(found.info.alias)
            if mark is not None:
                yield nsid, found, mark
