"""Many pods, many times: everything converges, nothing is left, the daemon does not grow.

The large one takes long: ``MESHNET_SOAK=1 pytest -m lab -k soak -s``.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.lab.scenarios.lab import PROGRAMS
from tests.lab.scenarios.wiring import Cable, network, write

if TYPE_CHECKING:
    from pathlib import Path

    from tests.lab.scenarios.lab import Lab

GROWTH_MB = 5


def ring(pods: int, more: int) -> list[Cable]:
    """A ring, and `more` links between random pods; always the same ones."""
    chance = random.Random(pods)
    around = [Cable(n, f"p{n}:next", f"p{(n + 1) % pods}:prev") for n in range(pods)]
    pairs = [chance.sample(range(pods), 2) for _ in range(more)]
    across = [Cable(pods + n, f"p{a}:x{n}", f"p{b}:x{n}") for n, (a, b) in enumerate(pairs)]
    return around + across


def soak(lab: Lab, directory: Path, *, pods: int, cycles: int, early: int) -> None:
    cables = ring(pods, pods // 2)
    up = lab.up("--wait", 60, write(directory / "lab.yml", network(cables)))
    print(up.stderr or up.stdout)
    for cable in cables[:: max(1, len(cables) // 20)]:
        assert lab.pings(cable.a.partition(":")[0], cable.addresses[1]), cable
    told = cycled(lab, cycles)
    for each in told:
        print(each)
    assert len(told) == cycles
    assert [each["left"] for each in told if each["left"]] == []
    assert [each["cycle"] for each in told if each["not_up"]] == []
    first, last = told[early - 1], told[-1]
    assert last["rss_mb"] <= first["rss_mb"] + GROWTH_MB
    assert last["descriptors"] == first["descriptors"]
    assert lab.pings("p0", cables[0].addresses[1])


def cycled(lab: Lab, cycles: int) -> list[dict[str, Any]]:
    command = [sys.executable, str(PROGRAMS / "cycles.py"), lab.name, str(cycles)]
    environ = {**os.environ, "PYTHONPATH": os.getcwd()}
    ran = subprocess.run(command, env=environ, stdout=subprocess.PIPE, text=True, check=False, timeout=60 * cycles)
    assert ran.returncode == 0, ran.stdout
    return [json.loads(line) for line in ran.stdout.splitlines()]


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_soak_of_forty_pods(lab: Lab, tmp_path: Path) -> None:
    soak(lab, tmp_path, pods=40, cycles=20, early=5)


@pytest.mark.slow
@pytest.mark.timeout(4000)
@pytest.mark.skipif(os.environ.get("MESHNET_SOAK") != "1", reason="takes minutes: MESHNET_SOAK=1")
def test_soak_of_two_hundred_pods(lab: Lab, tmp_path: Path) -> None:
    soak(lab, tmp_path, pods=200, cycles=50, early=10)


@pytest.mark.slow
def test_two_hundred_pods_converge(lab: Lab, tmp_path: Path) -> None:
    cables = ring(200, 100)
    lab.up(write(tmp_path / "lab.yml", network(cables)))
    links = lab.get("links")
    assert len(links) == 300
    assert all(link["state"] == "Up" and all(end["carrier"] for end in link["endpoints"]) for link in links)
    for cable in cables[::15]:
        assert lab.pings(cable.a.partition(":")[0], cable.addresses[1]), cable
