"""The topologies of the examples once more, where links between nodes go by gRPC."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.cluster.scenarios import shapes, traces
from tests.cluster.scenarios.shapes import SHAPES

if TYPE_CHECKING:
    from tests.cluster.machine.cluster import Cluster


def test_every_link_answers_and_nothing_is_left(upgraded: Cluster) -> None:
    spaces = shapes.start(upgraded, "grpc")
    drivers = set()
    for shape, space in spaces.items():
        asked = shapes.addresses(shapes.documents(shape, list(upgraded.nodes)))
        space.wait_ready(*asked)
        space.wait_running(*asked)
        assert not [(pod, other) for pod, others in asked.items() for other in shapes.silent(space, pod, others)]
        drivers |= {(shape, link["driver"]) for each in space.get("topologies")["items"]
                    for link in each["status"]["links"]}  # fmt: skip
    between = {(shape, "grpcwire") for shape in SHAPES if shape != "macvlan"}
    assert drivers == between | {("5node", "veth"), ("macvlan", "macvlan")}

    for space in spaces.values():
        space.end()
    for space in spaces.values():
        traces.wait_none_of(space)
