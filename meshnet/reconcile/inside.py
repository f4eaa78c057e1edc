"""What is done in a pod's own namespace, by a socket in it."""

from __future__ import annotations

import contextlib
import errno
import os
from typing import TYPE_CHECKING

import attrs

from meshnet.errors import KernelError, RestartPod
from meshnet.model import rules
from meshnet.model.names import parse_mark
from meshnet.netlink import BatchError, addresses, links
from meshnet.netlink.netns import dump_nsids, known_nsid, nsid, own_netns, parse_nsid

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meshnet.driver.api import Inside
    from meshnet.model.topology import Endpoint
    from meshnet.netlink import Netlink
    from meshnet.reconcile.end import Applied, End

NO_IPV6 = (errno.EACCES, errno.EOPNOTSUPP)
"""Answered for an IPv6 address: the interface has IPv6 disabled (``disable_ipv6``), or the kernel has none."""
_MTU_TOO_SMALL = errno.EINVAL
"""Answered for an IPv6 address: the interface has an MTU below 1280, by the pod's own doing if not by the link."""


@contextlib.contextmanager
def entered(node: Netlink, end: End) -> Iterator[Inside]:
    """Open the namespace that an end's interface is in. Raises RestartPod, KernelError."""
    with end.sandbox.enter() as inside:
        # An index means another interface, or none, in a namespace that the pod moved its end to.
        if nsid(node, inside.netns_fd) != end.nsid:
            raise RestartPod(f"{end.endpoint}: the pod has moved its interface to another network namespace")
        yield inside


def give_addresses(inside: Netlink, ifindex: int, cidrs: Sequence[str], mtu: int) -> Sequence[str]:
    """Give a pod's interface addresses that it may have already; return those of IPv6 where the pod has no IPv6.

    Raises KernelError for any other refusal, as where `mtu`, the link's own, is too small for IPv6.
    """
    by_the_pod = NO_IPV6 if mtu < rules.MIN_IPV6_MTU else (*NO_IPV6, _MTU_TOO_SMALL)
    try:
        inside.run([addresses.add_address(ifindex, cidr) for cidr in cidrs])
    except BatchError as error:
        refused = []
        for position, failure in error.failures:
            if ":" in cidrs[position] and failure.errno in by_the_pod:
                refused.append(cidrs[position])
            elif failure.errno != errno.EEXIST:
                raise failure from None
        return refused
    return ()


def change_addresses(inside: Netlink, ifindex: int, gone: Sequence[str], new: Sequence[str], mtu: int) -> Sequence[str]:
    """Take addresses from a pod's interface and give it others; all that are neither stay, also the pod's own.

    Return those of IPv6 where the pod has no IPv6. Raises KernelError for any other refusal.
    """
    refused = give_addresses(inside, ifindex, new, mtu)  # first: routes by a subnet that is in both stay
    if not gone:
        return refused
    changes = [addresses.delete_address(ifindex, cidr) for cidr in gone]
    if not addresses.parse_promote_secondaries(inside.ask(links.get_link(ifindex))):
        # Else the kernel would take every later address of the same IPv4 subnet, too.
        on, off = (addresses.promote_secondaries(ifindex, on=on) for on in (True, False))
        changes = [on, *changes, off]
    # The pod may have taken an address away itself, or all of IPv4; an MTU below 1280 takes all of IPv6 (ENXIO).
    inside.run_tolerating(changes, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.ENXIO)
    # Again: of IPv6 one with another prefix length was there until now.
    return give_addresses(inside, ifindex, new, mtu)


def come_about(node: Netlink, end: End, before: Applied, wanted: Applied) -> Applied:
    """Return what is applied of an edit that the kernel has refused in part: the next one may take that back.

    Raises KernelError when the interface cannot be read.
    """
    info = links.parse_link(node.ask(links.get_link(end.pod_ifindex, nsid=end.nsid)))
    listed = addresses.parse_addresses(node.dump(addresses.dump_addresses(end.nsid), steady=False))
    has = {cidr for ifindex, cidr in listed if ifindex == end.pod_ifindex}
    has.update(set(before.addresses) & set(wanted.addresses))  # no part of the edit
    return attrs.evolve(
        before,
        mac=wanted.mac if info.mac == wanted.mac else before.mac,
        mtu=wanted.mtu if info.mtu == wanted.mtu else before.mtu,
        addresses=tuple(cidr for cidr in dict.fromkeys(before.addresses + wanted.addresses) if cidr in has),
    )


def moved_on(inside: Inside, endpoint: Endpoint) -> bool:
    """Tell whether the pod has moved an interface of ours on, into a namespace of its own. Raises KernelError.

    A move gives that namespace a number in the one that the interface leaves. The node cannot know it: this is the only
    way to find an interface that has no port.
    """
    numbers = set(map(parse_nsid, inside.netlink.dump(dump_nsids())))
    return any(_has(inside.netlink, number, endpoint) for number in numbers - _not_within(inside))


def _not_within(inside: Inside) -> set[int]:
    """Return the numbers that the node and the pod itself have in the pod, by its cables and by other veths.

    In the node are ports of the pod's older sandboxes; to read all ports there would also give each of their pods a
    number in this one.
    """
    node = own_netns()
    try:
        return {known_nsid(inside.netlink, fd) for fd in (node, inside.netns_fd)}
    finally:
        os.close(node)


def _has(inside: Netlink, number: int, endpoint: Endpoint) -> bool:
    try:
        payloads = inside.dump(links.dump_links(number), steady=False)
    except KernelError as error:
        if error.errno == errno.EINVAL:  # it has ended meanwhile
            return False
        raise
    marks = (parse_mark(links.parse_link(payload).alias) for payload in payloads)
    return any(mark is not None and mark.is_of(endpoint) for mark in marks)
