"""Deleting many links as fast as one.

The kernel holds its lock while a link goes, some 20 ms whether it is one or a thousand of one group.
"""

from __future__ import annotations

import errno
import secrets
from typing import TYPE_CHECKING

from meshnet.netlink import links
from meshnet.netlink.socket import Netlink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def delete_together(ifindexes: Iterable[int], ours: Callable[[bytes], bool]) -> None:
    """Delete links by one group made for it; one that is gone already is success. Blocks for the kernel.

    Args:
        ifindexes: in the calling thread's namespace.
        ours: whether a link may go, by the kernel's whole answer about it.

    Raises KernelError.
    """
    group = secrets.randbits(30) | 1 << 30
    with Netlink.open() as netlink:
        netlink.run_tolerating([links.set_link(ifindex, group=group) for ifindex in ifindexes], errno.ENODEV)
        # Others may make links all the time; who is in this group does not change.
        members = [(links.parse_link(payload), payload) for payload in netlink.dump(links.dump_links(), steady=False)]
        # A group is everybody's: who is not ours leaves it before it goes.
        strangers = [info.ifindex for info, payload in members if info.group == group and not ours(payload)]
        netlink.run_tolerating([links.set_link(ifindex, group=0) for ifindex in strangers], errno.ENODEV)
        netlink.run_tolerating([links.delete_group(group)], errno.ENODEV)
