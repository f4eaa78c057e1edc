"""A machine's network, as its first process sets it up from inside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.cluster.machine.commands import run

INTERFACE = "eth0"


def set_up(network: dict[str, Any]) -> None:
    """Bring loopback up, and what else a machine has.

    Args:
        network: of the fabric that all machines are plugged into, its ``bridge``; of a machine, ``address`` with prefix
            length, ``gateway``, ``routes`` from networks to next hops; of a machine without a network, nothing.
    """
    _ip("link", "set", "lo", "up")
    if "bridge" in network:
        _ip("link", "add", network["bridge"], "up", "type", "bridge")
        for setting in Path("/proc/sys/net/bridge").glob("bridge-nf-call-*"):
            setting.write_text("0")
    if "address" in network:
        _ip("address", "add", network["address"], "dev", INTERFACE)
        _ip("link", "set", INTERFACE, "up")
        # nobody is there, but addresses of Services need a route before they are translated
        _ip("route", "add", "default", "via", network["gateway"])
        for pods, node in network["routes"].items():
            _ip("route", "add", pods, "via", node)
        Path("/proc/sys/net/ipv4/ip_forward").write_text("1")


def _ip(*words: str) -> None:
    run(["ip", *words])
