"""The topologies of the examples once more, where links between nodes go by gRPC."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.cluster.scenarios import shapes, traces

if TYPE_CHECKING:
    from tests.cluster.machine.cluster import Cluster


def test_every_link_answers_and_nothing_is_left(upgraded: Cluster) -> None:
    spaces = shapes.start(upgraded, "grpc")
    for shape, space in spaces.items():
        asked = shapes.addresses(shapes.documents(shape, list(upgraded.nodes)))
        space.wait_ready(*asked)
        space.wait_running(*asked)
        assert not [(pod, other) for pod, others in asked.items() for other in shapes.silent(space, pod, others)]
        shapes.assert_drivers(space, shape, "grpcwire")

    for space in spaces.values():
        space.end()
    for space in spaces.values():
        traces.wait_none_of(space)
