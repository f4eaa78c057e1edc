"""Everything on a node that a driver might leave behind or disturb, as lines of text to compare.

The kernel is read by pyroute2, not by `meshnet.netlink`: drivers are written with that, and a fault of it would hide
what it made. Filters alone are read by it, whose addresses of programs tell where they lead.
"""

from __future__ import annotations

import asyncio
import gc
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meshnet.errors import KernelError
from meshnet.netlink import tc
from meshnet.netlink.iproute import iproute

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from meshnet.testing.node import Namespace

_IPV4, _IPV6, _BRIDGE = 2, 10, 7
_PERMANENT = 0x80
_BY_THE_KERNEL = 2
_HAS_TIMERS = ("bridge",)
"""Kinds of links whose settings change by themselves."""


def network(namespaces: Iterable[Namespace]) -> frozenset[str]:
    """Return what these namespaces hold, a line each: links, addresses, routes, rules, forwarding entries, queueing
    disciplines, filters.
    """
    return asyncio.run(_network(namespaces))


def process() -> frozenset[str]:
    """Return what this process holds: descriptors and child processes, a line each."""
    gc.collect()  # what only a forgotten cycle holds is as good as closed
    return frozenset([*_descriptors(), *_children()])


async def _network(namespaces: Iterable[Namespace]) -> frozenset[str]:
    lines: set[str] = set()
    for namespace in namespaces:
        found = [*await _read(namespace), *_filters(namespace)]
        lines.update(f"{namespace.name}: {line}" for line in found)
    return frozenset(lines)


async def _read(namespace: Namespace) -> list[str]:
    async with iproute(namespace.fd) as ip:
        lines = [_link(link) async for link in await ip.link("dump")]
        lines += [line async for address in await ip.addr("dump") for line in _address(address)]
        for family in (_IPV4, _IPV6):
            lines += [line async for route in await ip.route("dump", family=family) for line in _route(route)]
            lines += [_rule(rule) async for rule in await ip.rule("dump", family=family)]
        lines += [line async for entry in await ip.fdb("dump") for line in _forwarding(entry)]
        lines += [line async for qdisc in await ip.tc("dump") for line in _qdisc(qdisc)]
    return lines


def _link(link: Any) -> str:
    kind = link.get(("linkinfo", "kind")) or ""
    settings = "" if kind in _HAS_TIMERS else _settings(link.get(("linkinfo", "data")))
    return (
        f"link {link['index']} {link.get('ifname')} {kind} {link['state']} mtu {link.get('mtu')} "
        f"mac {link.get('address')} master {link.get('master')} group {link.get('group')} alias {link.get('ifalias')!r}"
        f" {settings}"
    )


def _settings(data: Any) -> str:
    if isinstance(data, str):
        return data  # bytes, of a kind that pyroute2 does not know
    return repr(sorted((name, repr(value)) for name, value in data["attrs"])) if data else ""


def _address(address: Any) -> Iterator[str]:
    text = address.get("local") or address.get("address")
    if not text.startswith("fe80:"):  # the kernel gives and takes those, as carrier comes and goes
        yield f"address {text}/{address['prefixlen']} on {address['index']}"


def _route(route: Any) -> Iterator[str]:
    if route["proto"] != _BY_THE_KERNEL:  # else it goes with an address
        way = f"by {route.get('gateway')} on {route.get('oif')} type {route['type']} priority {route.get('priority')}"
        yield f"route {route.get('dst')}/{route['dst_len']} table {route.get('table')} {way}"


def _rule(rule: Any) -> str:
    return f"rule of family {rule['family']}: {sorted((name, repr(value)) for name, value in rule['attrs'])}"


def _forwarding(entry: Any) -> Iterator[str]:
    if entry["state"] & _PERMANENT and entry["family"] == _BRIDGE and not _multicast(entry.get("lladdr")):
        where = f"to {entry.get('dst')} vni {entry.get('vni')} port {entry.get('port')}"
        yield f"forwarding of {entry.get('lladdr')} on {entry['ifindex']} {where}"


def _multicast(mac: str) -> bool:
    """Groups are joined and left by the kernel itself."""
    return bool(int(mac[:2], 16) & 1)


def _qdisc(qdisc: Any) -> Iterator[str]:
    if qdisc["handle"]:  # else it is the kernel's own, there from the first time that a link is up
        yield f"qdisc {qdisc.get('kind')} on {qdisc['index']}"


def _filters(namespace: Namespace) -> Iterator[str]:
    for link in namespace.links():
        for parent in (tc.INGRESS, tc.EGRESS):
            try:
                payloads = namespace.netlink.dump(tc.dump_filters(link.ifindex, parent))
            except KernelError:  # without a qdisc there is nothing to list
                continue
            for payload in payloads:
                priority, target = tc.parse_priority(payload), tc.parse_redirect(payload)
                yield f"filter on {link.ifindex} prio {priority} {target}"


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
