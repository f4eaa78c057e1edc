"""Everything on a node that a driver might leave behind or disturb, as lines of text to compare."""

from __future__ import annotations

import gc
import os
from pathlib import Path
from typing import TYPE_CHECKING

from meshnet.errors import KernelError
from meshnet.netlink import tc
from meshnet.netlink.addresses import dump_addresses, parse_address

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from meshnet.netlink import LinkInfo
    from meshnet.testing.node import Namespace


def network(namespaces: Iterable[Namespace]) -> frozenset[str]:
    """Return every link, address and filter of these namespaces, a line each."""
    return frozenset(line for namespace in namespaces for line in _of_namespace(namespace))


def process() -> frozenset[str]:
    """Return what this process holds: descriptors and child processes, a line each."""
    gc.collect()  # what only a forgotten cycle holds is as good as closed
    return frozenset([*_descriptors(), *_children()])


def link_line(namespace: Namespace, link: LinkInfo) -> str:
    """Return the line that stands for a link."""
    return (
        f"{namespace.name}: link {link.ifindex} {link.name} {link.kind} {'up' if link.up else 'down'} mtu {link.mtu} "
        f"mac {link.mac} master {link.master} group {link.group} alias {link.alias!r}"
    )


def _of_namespace(namespace: Namespace) -> Iterator[str]:
    for link in namespace.links():
        yield link_line(namespace, link)
        yield from _filters(namespace, link.ifindex)
    for ifindex, cidr in map(parse_address, namespace.netlink.dump(dump_addresses())):
        # The kernel gives and takes those by itself, as carrier comes and goes.
        if not cidr.startswith("fe80:"):
            yield f"{namespace.name}: address {cidr} on {ifindex}"


def _filters(namespace: Namespace, ifindex: int) -> Iterator[str]:
    for parent in (tc.INGRESS, tc.EGRESS):
        try:
            payloads = namespace.netlink.dump(tc.dump_filters(ifindex, parent))
        except KernelError:  # without a qdisc there is nothing to list
            continue
        for payload in payloads:
            priority, target = tc.parse_priority(payload), tc.parse_redirect(payload)
            yield f"{namespace.name}: filter on {ifindex} prio {priority} {target}"


def _descriptors() -> Iterator[str]:
    for name in os.listdir("/proc/self/fd"):
        try:
            yield f"descriptor {name} -> {os.readlink(f'/proc/self/fd/{name}')}"
        except FileNotFoundError:  # the one that lists them
            continue


def _children() -> Iterator[str]:
    for task in Path("/proc/self/task").iterdir():
        children = task / "children"
        if children.exists():
            yield from (f"child process {pid}" for pid in children.read_text().split())
