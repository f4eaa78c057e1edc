"""Who has which address in a cluster. All of it is inside of the cluster's own network namespaces: two do not meet."""

from __future__ import annotations

SERVICES = "10.96.0.0/16"
SERVICE_ADDRESS = "10.96.0.1"
"""Of the Service ``kubernetes``."""
DNS_ADDRESS = "10.96.0.10"
"""Where pods would ask for names; nobody answers."""
PODS = "10.244.0.0/16"
GATEWAY = "10.99.0.1"
"""Nobody's."""
CONTROL_PLANE = "10.99.0.10"


def node_address(number: int) -> str:
    """Return the address of a node, counted from 1."""
    return f"10.99.0.{10 + number}"


def pods_of(number: int) -> str:
    """Return the network of a node's pods."""
    return f"10.244.{number}.0/24"


def network_of(number: int, nodes: int) -> dict[str, object]:
    """Return what `network.set_up` makes on a node, or with 0 on the control plane."""
    others = {pods_of(other): node_address(other) for other in range(1, nodes + 1) if other != number}
    return {"address": f"{node_address(number)}/24", "gateway": GATEWAY, "routes": others}
