"""What bench_cluster wires: right topologies, whose pods ping what is at the other end of each of their links."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest

from tests.model.checking import check_texts

NODES = ("n1", "n2", "n3")


@pytest.fixture
def shapes(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module, which finds its neighbours as a benchmark does: by the directory of the program."""
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    return importlib.import_module("cluster_shapes")


@pytest.mark.parametrize(
    ("shape", "pods", "ends"),
    [("ring:40", 40, 80), ("mesh:5", 5, 20), ("mesh:12", 12, 132), ("star:60", 60, 118), ("twins:20", 40, 80)],
)
def test_a_shape_is_as_large_as_its_name_says_and_right(shapes: Any, shape: str, pods: int, ends: int) -> None:
    kind, _, size = shape.partition(":")
    made = getattr(shapes, kind)(int(size))

    topologies = made.topologies()

    assert (made.pods, made.ends) == (pods, ends)
    assert len(topologies) == len(made.pod_documents(NODES)) == pods
    assert sum(len(topology["spec"]["links"]) for topology in topologies) == ends
    assert check_texts([(json.dumps({"apiVersion": "v1", "kind": "List", "items": topologies}), "shape")]) == []


def test_a_pod_pings_the_other_end_of_each_link(shapes: Any) -> None:
    made = shapes.mesh(4)
    links = {topology["metadata"]["name"]: topology["spec"]["links"] for topology in made.topologies()}

    for pod in made.pod_documents(NODES):
        told = pod["spec"]["containers"][0]["args"]
        assert told == [
            f"{link['local_intf']}={link['peer_ip'].partition('/')[0]}" for link in links[pod["metadata"]["name"]]
        ]


def test_neighbours_of_a_ring_are_on_different_nodes(shapes: Any) -> None:
    placed = [pod["spec"]["nodeName"] for pod in shapes.ring(6).pod_documents(NODES)]
    assert placed == ["n1", "n2", "n3"] * 2
