"""The topologies of ``examples/``, on a cluster: their pods dealt to its nodes, where they do not say it themselves."""

from __future__ import annotations

from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from tests.cluster.machine.images import TOOLS
from tests.cluster.resources import MANIFESTS
from tests.cluster.scenarios.space import Space

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cluster.machine.cluster import Cluster

SHAPES = ("2node", "3node", "3node-parallel", "5node", "kubernetes/3nodes", "macvlan", "statefulset")
EXAMPLES = MANIFESTS.parent / "examples"
Document = dict[str, Any]


def documents(shape: str, nodes: list[str]) -> list[Document]:
    """An example's objects, as a user would edit them for a cluster: another image, and where the pods shall run."""
    made = list(yaml.safe_load_all((EXAMPLES / f"{shape}.yml").read_text()))
    for spec, node in zip(_pods(made), cycle(nodes), strict=False):
        if "topologySpreadConstraints" not in spec:
            spec["nodeSelector"] = {"kubernetes.io/hostname": node}
        for container in spec["containers"]:
            container["image"] = TOOLS
    return made


def _pods(made: list[Document]) -> Iterator[Document]:
    for document in made:
        if document["kind"] == "Pod":
            yield document["spec"]
        elif document["kind"] == "StatefulSet":
            yield document["spec"]["template"]["spec"]


def addresses(made: list[Document]) -> dict[str, list[str]]:
    """By pod, the addresses at the other ends of its links; of an external one, those of all other such ends."""
    links = [(each["metadata"]["name"], link) for each in made if each["kind"] == "Topology"
             for link in each["spec"]["links"]]  # fmt: skip
    found: dict[str, list[str]] = {pod: [] for pod, _ in links}
    for pod, link in links:
        for other, facing in links:
            external = link["peer_pod"] == facing["peer_pod"] == "localhost" and pod != other
            if external or (link["uid"] == facing["uid"] and pod == facing["peer_pod"] and other == link["peer_pod"]):
                found[pod].append(facing["local_ip"].partition("/")[0])
    return found


def start(cluster: Cluster, prefix: str) -> dict[str, Space]:
    """Apply every shape at once, each in a namespace of its own; uids and addresses are the same in all of them."""
    nodes = list(cluster.nodes)
    spaces = {shape: Space.make(cluster, f"{prefix}-{Path(shape).name}") for shape in SHAPES}
    for shape, space in spaces.items():
        space.apply(*documents(shape, nodes))
    return spaces


def silent(space: Space, pod: str, asked: list[str]) -> list[str]:
    """Return which addresses do not answer a pod."""
    script = "for a in $0 $@; do ping -c1 -W5 $a >/dev/null || echo $a; done"
    return space.inside(pod, "sh", "-c", script, *asked).split()


def assert_drivers(space: Space, shape: str, between: str) -> None:
    """Assert that each link is of the driver for where its pods are; those that the scheduler places are anywhere."""
    statuses = [each["status"] for each in space.get("topologies")["items"]]
    links = [
        (link["driver"], link.get("peer_node") == status["node"]) for status in statuses for link in status["links"]
    ]
    apart = "macvlan" if shape == "macvlan" else between
    assert set(links) <= {(apart, False), ("veth", True)}
    assert (apart, False) in links
    # of five pods on three nodes, some are neighbours
    assert shape != "5node" or ("veth", True) in links
