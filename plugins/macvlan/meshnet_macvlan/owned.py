"""Finding the macvlans that are ours: in a pod, and in every pod of the node.

In a thread: a pod may make itself thousands of interfaces, and listing them takes a second.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
from typing import TYPE_CHECKING

from meshnet.errors import KernelError
from meshnet.model.names import of_one_sandbox, parse_mark
from meshnet.netlink import Netlink, links
from meshnet.netlink.netns import dump_nsids, parse_nsid
from meshnet_macvlan.requests import parse_macvlan

if TYPE_CHECKING:
    from meshnet.model.names import Mark
    from meshnet.model.topology import Endpoint
    from meshnet_macvlan.requests import Macvlan


def birth_name(alias: str) -> str:
    """Return the name that a macvlan has until it is marked: 15 bytes that nobody else would choose.

    The kernel takes no alias in the message that makes a link. What a daemon killed in between has left is known by
    this name.
    """
    return "mv" + hashlib.blake2b(alias.encode(), digest_size=8).hexdigest()[:13]


async def in_namespace(nsid: int) -> list[Macvlan]:
    """Return every macvlan in a namespace, anybody's; none when the namespace is gone. Raises KernelError."""

    def listed() -> list[Macvlan]:
        with Netlink.open() as netlink:
            return _in_namespace(netlink, nsid)

    return await asyncio.to_thread(listed)


async def find(nsid: int, endpoint: Endpoint, alias: str) -> Macvlan | None:
    """Return the macvlan of an endpoint in its pod, by its mark and never by the name that the pod may change.

    One made for an earlier link of the same interface counts, and one left half made. Raises KernelError.
    """
    for found in await in_namespace(nsid):
        mark = parse_mark(found.info.alias)
        if found.info.alias == alias or (mark is not None and mark.is_of(endpoint)):
            return found
        if not found.info.alias and found.info.name == birth_name(alias):
            return found
    return None


def of_one_interface(alias: str, other: str, endpoint: Endpoint) -> bool:
    """Tell whether two marks are of an endpoint's interface in one sandbox; the uids of the links may differ."""
    mark = parse_mark(alias)
    return mark is not None and mark.is_of(endpoint) and of_one_sandbox(alias, other)


async def everywhere() -> list[tuple[int, Macvlan, Mark]]:
    """Return (nsid, macvlan, mark) of those that are marked, in every namespace with a number. Raises KernelError."""
    return await asyncio.to_thread(_everywhere)


def _in_namespace(netlink: Netlink, nsid: int) -> list[Macvlan]:
    try:
        payloads = netlink.dump(links.dump_links(nsid), steady=False)
    except KernelError as error:
        if error.errno == errno.EINVAL:  # no namespace has that number any more
            return []
        raise
    return [found for found in map(parse_macvlan, payloads) if found is not None]


def _everywhere() -> list[tuple[int, Macvlan, Mark]]:
    with Netlink.open() as netlink:
        return [
            (nsid, found, mark)
            for nsid in map(parse_nsid, netlink.dump(dump_nsids()))
            for found in _in_namespace(netlink, nsid)
            if (mark := parse_mark(found.info.alias)) is not None
        ]
