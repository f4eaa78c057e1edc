"""Pods go round robin, unless somebody says where."""

from __future__ import annotations

import pytest

from meshnet.errors import UsageError
from meshnet.lab.placement import place
from meshnet.lab.podspec import PodSpec


def pods(*names: str, **nodes: str) -> list[PodSpec]:
    return [PodSpec("default", name, name, node=nodes.get(name)) for name in names]


def where(placement) -> dict[str, str]:
    return {name: node for (_, name), node in placement.of.items()}


def test_one_node_by_default():
    placement = place(pods("a", "b"))
    assert placement.nodes == ("n1",)
    assert where(placement) == {"a": "n1", "b": "n1"}


def test_round_robin():
    assert where(place(pods("a", "b", "c"), 2)) == {"a": "n1", "b": "n2", "c": "n1"}


def test_nodes_are_those_that_manifests_name():
    placement = place(pods("a", "b", "c", a="worker2", b="worker1"))
    assert placement.nodes == ("worker2", "worker1")
    assert where(placement) == {"a": "worker2", "b": "worker1", "c": "worker2"}


def test_wish_of_the_command_line_goes_first():
    assert where(place(pods("a", "b", a="n1"), 2, {"a": "n2"}))["a"] == "n2"


def test_node_that_there_is_not_is_said():
    placement = place(pods("a", "b", a="kind-worker", b="kind-worker2"), 1)
    assert placement.nodes == ("kind-worker",)
    assert where(placement)["b"] == "kind-worker"
    assert len(placement.notes) == 1
    assert "kind-worker2" in placement.notes[0]


@pytest.mark.parametrize("name", ["A_B", "a..b", "a.-b", "../x", "a" * 64])
def test_name_that_no_node_can_have_is_none_of_the_lab(name):
    placement = place(pods("a", a=name))
    assert placement.nodes == ("n1",)
    assert name in placement.notes[0]


@pytest.mark.parametrize(
    ("count", "wishes", "told"),
    [
        (0, {}, "--nodes 0"),
        (251, {}, "--nodes 251"),
        (1, {"x": "n1"}, "no pod 'x'"),
        (1, {"a": "n9"}, "no node 'n9'"),
    ],
)
def test_impossible_wishes(count, wishes, told):
    with pytest.raises(UsageError, match=told):
        place(pods("a"), count, wishes)


def test_manifests_that_name_too_many_nodes():
    names = [f"p{number}" for number in range(251)]
    with pytest.raises(UsageError, match=r"251 nodes.*at most 250"):
        place(pods(*names, **{name: f"node-{name}" for name in names}))


def test_name_in_two_namespaces_needs_its_namespace():
    both = [PodSpec("x", "a", "a"), PodSpec("y", "a", "a")]
    with pytest.raises(UsageError, match="several namespaces"):
        place(both, 2, {"a": "n2"})
    assert place(both, 2, {"y/a": "n2"}).of["y", "a"] == "n2"
