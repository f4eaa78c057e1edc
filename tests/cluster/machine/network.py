"""A machine's network, as its first process sets it up from inside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.cluster.machine.commands import run

INTERFACE = "eth0"


def set_up(network: dict[str, Any]) -> None:
    """Bring loopback up and, where the machine has a network, its interface with address, routes and forwarding.

    Args:
        network: ``address`` with its prefix length, ``gateway``, ``routes`` from networks to next hops; or nothing.
    """
    run(["ip", "link", "set", "lo", "up"])
    if not network:
        return
    run(["ip", "address", "add", network["address"], "dev", INTERFACE])
    run(["ip", "link", "set", INTERFACE, "up"])
    # nobody is there, but addresses of Services need a route before they are translated
    run(["ip", "route", "add", "default", "via", network["gateway"]])
    for pods, node in network["routes"].items():
        run(["ip", "route", "add", pods, "via", node])
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
