"""Nodes that are as far apart as by a satellite, where the kernel has netem."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.lab.scenarios.nodes import DRIVERS, on_nodes
from tests.lab.scenarios.wiring import Cable, network, write

if TYPE_CHECKING:
    from pathlib import Path

    from tests.lab.scenarios.lab import Lab

DELAY_MS = 300


def test_nodes_that_are_far_apart(lab: Lab, tmp_path: Path) -> None:
    """Links come up all the same, and what a driver sends is not there sooner than the underlay allows."""
    cables = [Cable(uid, f"r1:eth{uid}", f"r2:eth{uid}", both={"driver": name}) for uid, name in enumerate(DRIVERS, 1)]
    options = (*on_nodes({"r1": "n1", "r2": "n2"}), "--underlay-delay", DELAY_MS, "--wait", 60)
    ran = lab.run("lab", "up", *options, write(tmp_path / "lab.yml", network(cables)), code=None)
    if "no netem" in ran.stderr:
        pytest.skip("this kernel has no netem")
    assert ran.returncode == 0, ran.stderr
    for cable in cables:
        for pod, address in zip(("r2", "r1"), cable.addresses, strict=True):
            told = lab.exec(pod, "ping", "-c", "3", "-W", "10", address)
            (fastest,) = re.findall(r"^rtt min/avg/max/mdev = ([0-9.]+)/", told, re.MULTILINE)
            assert float(fastest) >= 2 * DELAY_MS, cable
