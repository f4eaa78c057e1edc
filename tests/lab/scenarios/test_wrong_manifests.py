"""What is wrong is told with file and line before anything starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.lab.scenarios.wiring import pod, topology, write

if TYPE_CHECKING:
    from pathlib import Path

    from tests.lab.scenarios.lab import Lab

WRONG = """\
apiVersion: networkop.co.uk/v1beta1
kind: Topology
metadata:
  name: r1
spec:
  links:
  - uid: 1
    peer_pod: r2
    local_intf: eth1
    peer_intf: eth1
  - uid: 2
    peer_pod: r2
    local_intf: {interface}
    peer_intf: eth2
    local_ip: {address}
---
apiVersion: networkop.co.uk/v1beta1
kind: Topology
metadata:
  name: r2
spec:
  links:
  - uid: 1
    peer_pod: r1
    local_intf: eth1
    peer_intf: eth1
  - uid: 2
    peer_pod: r1
    local_intf: eth2
    peer_intf: {interface}
    mtu: {mtu}
---
apiVersion: v1
kind: Pod
metadata:
  name: r1
"""
RIGHT = {"interface": "eth2", "address": "10.0.0.1/24", "mtu": 1500}
CASES: dict[str, tuple[dict[str, object], int, str, str]] = {
    "meshnet-cni#2, an interface twice": ({"interface": "eth1"}, 13, "spec.links[1].local_intf", "eth1"),
    "#18, the primary": ({"interface": "eth0"}, 13, "spec.links[1].local_intf", "eth0"),
    "a name too long": ({"interface": "sixteen-letters-"}, 13, "spec.links[1].local_intf", "sixteen-letters-"),
    "an address without prefix": ({"address": "10.0.0.1"}, 15, "spec.links[1].local_ip", "10.0.0.1"),
    "an MTU too small": ({"mtu": 67}, 31, "spec.links[1].mtu", "67"),
    "an MTU too large": ({"mtu": 65536}, 31, "spec.links[1].mtu", "65535"),
}


def is_not_there(lab: Lab) -> bool:
    return f'"{lab.name}"' not in lab.run("lab", "list", "-o", "json").stdout


@pytest.mark.parametrize("case", CASES)
def test_is_told_with_its_line_and_nothing_starts(lab: Lab, tmp_path: Path, case: str) -> None:
    change, line, path, word = CASES[case]
    file = tmp_path / "wrong.yml"
    file.write_text(WRONG.format(**{**RIGHT, **change}))
    told = lab.run("check", file, code=1)
    findings = [found for found in (told.stdout + told.stderr).splitlines() if f"{file}:{line}" in found]
    assert any(path in found and word in found for found in findings), told
    refused = lab.run("lab", "up", file, code=None)
    assert refused.returncode != 0
    assert path in refused.stderr
    assert word in refused.stderr
    assert is_not_there(lab)


def test_the_same_file_without_mistakes_is_fine(lab: Lab, tmp_path: Path) -> None:
    file = tmp_path / "right.yml"
    file.write_text(WRONG.format(**RIGHT))
    lab.run("check", file)


def test_everything_wrong_is_told_at_once(lab: Lab, tmp_path: Path) -> None:
    file = tmp_path / "wrong.yml"
    file.write_text(WRONG.format(interface="lo", address="x", mtu=0) + "\n---\nkind: [\n")
    told = lab.run("check", file, code=1)
    assert "wrong.yml" in told.stdout + told.stderr
    file.write_text(WRONG.format(interface="lo", address="x", mtu=0))
    told = lab.run("check", file, code=1)
    for line in (13, 15, 30, 31):
        assert f"{file}:{line}" in told.stdout + told.stderr, told


def test_a_peer_that_nobody_declares_is_told(lab: Lab, tmp_path: Path) -> None:
    """It may come later: told, and no error."""
    link = {"uid": 1, "peer_pod": "r2", "local_intf": "eth1", "peer_intf": "eth1"}
    told = lab.run("check", write(tmp_path / "alone.yml", [topology("r1", [link])]), code=None)
    assert "r2" in told.stdout + told.stderr


@pytest.mark.parametrize("links", [[], None], ids=["empty", "null"])
def test_a_pod_without_links_starts_and_is_ready(lab: Lab, tmp_path: Path, links: list[object] | None) -> None:
    """KNE#730."""
    lab.up(write(tmp_path / "lab.yml", [topology("r1", links), pod("r1")]))
    (found,) = lab.get("topologies")
    conditions = {each["type"]: each["status"] for each in found["status"]["conditions"]}
    assert conditions["Ready"] == "True"
    assert found["status"]["node"] == "n1"
    assert lab.interfaces("r1") == {}


def test_a_topology_without_links_field_is_ready_too(lab: Lab, tmp_path: Path) -> None:
    document = topology("r1", [])
    document["spec"] = {}
    lab.up(write(tmp_path / "lab.yml", [document, pod("r1"), pod("no-topology")]))
    assert lab.get("topologies")[0]["status"]["conditions"][0]["status"] == "True"
    assert lab.interfaces("no-topology") == {}
