"""The commands on a real lab: its store, its daemon, its kernel."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.lab.conftest import new_lab

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.lab.conftest import Lab

pytestmark = [pytest.mark.lab, pytest.mark.slow]

THREE = str(Path(__file__).parents[2] / "examples/3node.yml")
LIMIT_S = 50


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """One lab for all tests; made before each of them is without lab and node."""
    lab = new_lab()
    try:
        lab.ok("lab", "up", THREE)
        yield lab
    finally:
        lab.run("lab", "down", lab.name)


def links_of(lab: Lab) -> dict[int, dict[str, Any]]:
    return {link["uid"]: link for link in lab.json("get", "links")}


def carriers(link: dict[str, Any]) -> list[bool]:
    return [end["carrier"] for end in link["endpoints"]]


def test_every_link_is_told_from_both_ends(lab: Lab) -> None:
    links = links_of(lab)
    (node,) = lab.json("get", "nodes")
    assert set(links) == {1, 2, 3}
    for link in links.values():
        assert (link["state"], link["driver"], carriers(link)) == ("Up", "veth", [True, True])
        assert link["why"]
        assert "reason" not in link
        for end in link["endpoints"]:
            assert (end["node"], end["mtu"]) == ("n1", node["link_mtu"])
            assert any(address.startswith("10.") for address in end["addresses"])
            assert end["counters"]["rx_packets"] >= 0
            assert end["mac"]
            assert end["port"]


def test_a_cable_is_unplugged_and_plugged_in_again(lab: Lab) -> None:
    assert lab.run("link", "down", "r1:eth1").returncode == 0
    assert lab.run("wait", "--for", "down", "r2:eth1", "--timeout", "30").returncode == 0
    links = links_of(lab)
    assert (links[1]["state"], links[1]["reason"], carriers(links[1])) == ("Down", "Unplugged", [False, False])
    assert [links[uid]["state"] for uid in (2, 3)] == ["Up", "Up"]
    assert lab.run("link", "up", "r2:eth1").returncode == 0
    assert lab.run("wait", "--for", "up", "--timeout", "30").returncode == 0
    assert carriers(links_of(lab)[1]) == [True, True]


def test_what_nodes_and_sandboxes_hold(lab: Lab) -> None:
    (node,) = lab.json("get", "nodes")
    assert (node["name"], node["reachable"], node["up"]) == ("n1", True, 6)
    sandboxes = lab.json("get", "sandboxes")
    assert {row["pod"]: len(row["ports"]) for row in sandboxes} == {"r1": 2, "r2": 2, "r3": 2}
    drivers = lab.json("get", "drivers")
    assert {row["name"]: row["state"] for row in drivers}["veth"] == "usable"


def test_doctor_finds_daemon_and_store(lab: Lab) -> None:
    ran = lab.run("doctor", "-o", "json")
    found = {row["about"]: row["outcome"] for row in json.loads(ran.stdout)}
    assert [found[about] for about in ("target", "daemon", "alive", "store")] == ["ok"] * 4, ran.stdout


def written(lab: Lab) -> set[str]:
    """Return the states of links that Topologies' statuses tell, which follow within seconds."""
    topologies = lab.json("get", "topologies")
    return {link["state"] for topology in topologies for link in topology["status"]["links"]}


def test_a_dead_daemon_makes_its_ends_stale(lab: Lab) -> None:
    until = time.monotonic() + LIMIT_S
    while written(lab) != {"Up"}:
        assert time.monotonic() < until, "what the test before has changed is not written yet"
    assert lab.run("lab", "node", "n1", "kill").returncode == 0
    try:
        for link in links_of(lab).values():
            assert [end.get("stale") for end in link["endpoints"]] == [True, True]
            assert link["state"] == "Up"
        assert lab.json("get", "nodes")[0]["reachable"] is False
        assert lab.run("doctor").returncode == 1
    finally:
        assert lab.run("lab", "node", "n1", "start").returncode == 0


def test_a_lab_that_does_not_run_is_wrong_use(lab: Lab) -> None:
    ran = lab.run("get", "links", "--lab", "no-such-lab")
    assert ran.returncode == 2
    assert "no-such-lab" in ran.stderr
    assert lab.name in ran.stderr
