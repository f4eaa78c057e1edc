"""What meshnet has on a node: of one namespace, or at all."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.cluster.machine.commands import wait_for

if TYPE_CHECKING:
    from tests.cluster.machine.cluster import Cluster
    from tests.cluster.machine.node import Node
    from tests.cluster.scenarios.space import Space

MARK = "meshnet:"


def links(node: Node) -> list[str]:
    """The marks of all links that are meshnet's: pod, interface, container."""
    lines = node.run("ip", "-details", "-oneline", "link").splitlines()
    return [line[line.index(MARK) :] for line in lines if MARK in line]


def sandboxes(node: Node) -> list[str]:
    """The pods whose sandboxes are known there, NAMESPACE/POD each."""
    texts = [path.read_text() for path in node.path("/run/meshnet/sandboxes").glob("*.json")]
    return ["{namespace}/{pod}".format(**json.loads(text)) for text in texts]


def of(node: Node, space: Space) -> list[str]:
    """What is there of a namespace."""
    found = [*links(node), *sandboxes(node)]
    return [text for text in found if f"{space.name}/" in text]


def wait_none_of(space: Space) -> None:
    """Wait until nothing is left of a namespace on any node."""
    for node in space.cluster.nodes.values():
        wait_for(lambda node=node: not of(node, space), f"{node.name} to be rid of {space.name}", 30)  # type: ignore[misc]


def sources(node: Node) -> list[str]:
    """The frames' sources that meshnet's own table lets in; none when there is no table."""
    done = node.try_run("nft", "--json", "list", "ruleset")
    tables = json.loads(done.stdout)["nftables"]
    sets = [each["set"] for each in tables if each.get("set", {}).get("table", "").startswith("meshnet")]
    return [str(element) for each in sets for element in each.get("elem", ())]


def whole(node: Node) -> list[str]:
    """All that is there: links, sandboxes, namespaces of pods, and rules for sources."""
    return [*links(node), *sandboxes(node), *node.run("ls", "/run/netns").split(), *sources(node)]


def wait_none(cluster: Cluster) -> None:
    """Wait until nothing is left on any node."""
    for node in cluster.nodes.values():
        wait_for(lambda node=node: not whole(node), f"nothing to be left on {node.name}", 60)  # type: ignore[misc]
