"""What is done in a pod's own namespace, by a socket in it."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from meshnet.netlink import BatchError, addresses

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshnet.netlink import Netlink

NO_IPV6 = (errno.EACCES, errno.EOPNOTSUPP)
"""Answered for an IPv6 address: the interface has IPv6 disabled (``disable_ipv6``), or the kernel has none."""


def give_addresses(inside: Netlink, ifindex: int, cidrs: Sequence[str]) -> Sequence[str]:
    """Give a pod's interface addresses that it may have already; return those of IPv6 where the pod has no IPv6.

    Raises KernelError for any other refusal.
    """
    try:
        inside.run([addresses.add_address(ifindex, cidr) for cidr in cidrs])
    except BatchError as error:
        refused = []
        for position, failure in error.failures:
            if ":" in cidrs[position] and failure.errno in NO_IPV6:
                refused.append(cidrs[position])
            elif failure.errno != errno.EEXIST:
                raise failure from None
        return refused
    return ()
