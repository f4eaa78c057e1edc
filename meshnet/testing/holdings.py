"""What a driver holds on the nodes of a test: as the kernel has it, and as the driver tells of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from meshnet.driver import Device, Interface

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshnet.testing.bench import Bench
    from meshnet.testing.driver_base import AnyBench


class Held(NamedTuple):
    """A device, in a namespace of a node's."""

    node: str
    namespace: str
    ifindex: int


def devices(bench: AnyBench) -> set[Held]:
    """Return every device on the nodes and in their pods."""
    return {
        Held(each.node.name, space.name, link.ifindex)
        for each in bench.benches
        for space in each.node.namespaces()
        for link in space.links()
    }


def reported(bench: AnyBench) -> set[Held]:
    """Return the devices that the drivers say they own."""
    return {held for each in bench.benches for held in _reported(each)}


def _reported(bench: Bench) -> Iterator[Held]:
    node = bench.node.name
    for owned in bench.inspect():
        assert owned.what, "what is owned must be told in words"
        if isinstance(owned.splice, Device):
            yield Held(node, node, owned.splice.ifindex)
        elif isinstance(owned.splice, Interface):
            assert owned.endpoint is not None, f"{owned.what}: in which pod?"
            yield Held(node, owned.endpoint.pod, owned.splice.ifindex)
