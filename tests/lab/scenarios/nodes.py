"""Labs of several nodes: what is on a node, and how it is cut off."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from tests.lab.scenarios.lab import eventually
from tests.lab.scenarios.wiring import network, write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from tests.lab.scenarios.lab import Lab
    from tests.lab.scenarios.wiring import Cable

DRIVERS = ("vxlan", "grpcwire")
OWN = {"lo", "eth0"}
"""What a node has before any pod."""
RULES = 'from meshnet_vxlan.nftables import Nft; print(end=Nft().run("list ruleset"))'


def prefer(driver: str) -> tuple[str, ...]:
    """Return what `lab up` is told for links between nodes to be by `driver`."""
    return ("--set", f"MESHNET_PREFER_BETWEEN_NODES={driver}")


def on_nodes(place: Mapping[str, str]) -> list[str]:
    """Return what `lab up` is told for each pod to be on its node, and for those nodes to be there."""
    count = max(int(node.removeprefix("n")) for node in place.values())
    return ["--nodes", str(count), *(word for pod, node in place.items() for word in ("--place", f"{pod}={node}"))]


def bring_up(
    lab: Lab,
    directory: Path,
    cables: Iterable[Cable],
    place: Mapping[str, str],
    driver: str,
    *more: object,
    code: int = 0,
) -> None:
    """Bring up the pods that the cables name, each on its node, with links between nodes by `driver`."""
    file = write(directory / "lab.yml", network(cables))
    lab.up(*on_nodes(place), *prefer(driver), *more, file, code=code)


def devices(lab: Lab, node: str) -> set[str]:
    """Return the names of what is on a node beside its own."""
    return {row["ifname"] for row in json.loads(lab.in_box(f"ip -n {node} -j link"))} - OWN


def left(lab: Lab, node: str) -> str:
    """Return what is on a node beside its own: devices, sockets of links, rules of nf_tables, checkpoints of pods."""
    inside = f"ip netns exec {node}"
    sockets = f"{inside} ss --no-header --all --numeric --udp --packet"
    shown = f"{sockets}; {inside} {lab.python} -c '{RULES}'; ls -A /run/meshnet/nodes/{node}/sandboxes"
    return "\n".join([*sorted(devices(lab, node)), lab.in_box(shown)]).strip()


def bare(lab: Lab, nodes: Iterable[str]) -> bool:
    """Tell whether nothing is left on nodes: nothing of a link, no element of a set, no checkpoint."""
    return not any(left(lab, node) for node in nodes)


def took(condition: Callable[[], object], what: str, within_s: float = 10) -> float:
    """Wait for something; return and print how long it took, in seconds."""
    began = time.monotonic()
    eventually(condition, what, within_s)
    seconds = time.monotonic() - began
    print(f"{what}: {seconds:.2f} s")
    return seconds


def drivers_of(lab: Lab) -> dict[int, str]:
    """Return the driver of every link by uid."""
    return {uid: link["driver"] for uid, link in lab.links().items()}
