"""Unplugging, plugging in, and what `get links` tells of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.lab.scenarios.lab import Lab, eventually
from tests.lab.scenarios.watching import flooding
from tests.lab.scenarios.wiring import Cable, network, pod, topologies, topology, write

if TYPE_CHECKING:
    from pathlib import Path

CABLES = (Cable(1, "r1:eth1", "r2:eth1"), Cable(2, "r1:eth2", "r2:eth2"))
EXTERNAL = {"uid": 9, "peer_pod": "localhost", "local_intf": "ext1", "peer_intf": "eth0", "local_ip": "10.9.0.1/24"}
MISSING = {"uid": 8, "peer_pod": "r9", "local_intf": "eth8", "peer_intf": "eth1"}

COUNTERS = {f"{way}_{what}" for way in ("rx", "tx") for what in ("packets", "bytes", "errors", "dropped")}
END: dict[str, type] = {
    "pod": str,
    "interface": str,
    "node": str,
    "state": str,
    "carrier": bool,
    "up": bool,
    "mtu": int,
    "mac": str,
    "addresses": list,
    "port": str,
    "counters": dict,
}
LINK: dict[str, type] = {
    "namespace": str,
    "uid": int,
    "driver": str,
    "why": str,
    "state": str,
    "reason": str,
    "message": str,
    "endpoints": list,
}


@pytest.fixture
def running(lab: Lab, tmp_path: Path) -> Lab:
    lab.up(write(tmp_path / "lab.yml", network(CABLES)))
    return lab


def shape(found: dict[str, Any], wanted: dict[str, type]) -> None:
    """Hold an object of JSON to its fields and their types: all of them, and no others."""
    assert found.keys() == wanted.keys()
    assert {name: type(value) for name, value in found.items()} == wanted


@pytest.mark.parametrize(("down", "up"), [("r1:eth1", "r1:eth1"), ("r1:eth1", "r2:eth1"), ("r2:eth1", "r1:eth1")])
def test_no_carrier_at_both_ends_until_plugged_in_at_either(running: Lab, down: str, up: str) -> None:
    """containerlab#2398; NO-CARRIER as `ip link` says it, in either pod."""
    before = {name: running.interfaces(name) for name in ("r1", "r2")}
    with flooding(running, "r1", CABLES[1].addresses[1]) as other:
        running.run("link", "down", down)
        running.wait("down", down)
        for name in ("r1", "r2"):
            assert "NO-CARRIER" in running.exec(name, "ip", "link", "show", "eth1")
            assert "NO-CARRIER" not in running.exec(name, "ip", "link", "show", "eth2")
        assert not running.pings("r1", CABLES[0].addresses[1], "-w", "1")
        assert running.run("wait", "--for", "up", down, "--timeout", "0.5", code=1).stderr
        running.run("link", "up", up)
        running.wait("up", up)
        assert running.pings("r1", CABLES[0].addresses[1])
    assert other.lost == 0
    assert {name: running.interfaces(name) for name in before} == before


def test_down_survives_a_restart_of_the_pod(running: Lab) -> None:
    running.run("link", "down", "r1:eth1")
    running.run("lab", "restart", "r1")
    running.wait("down", "r1:eth1")
    assert not running.carrier("r1:eth1")
    assert not running.carrier("r2:eth1")
    topologies_ready = [each["status"]["conditions"][0]["status"] for each in running.get("topologies")]
    assert topologies_ready == ["True", "True"], "down by its own `down` is ready"


def test_a_link_that_is_up_has_exactly_the_documented_shape(running: Lab) -> None:
    assert running.pings("r1", CABLES[0].addresses[1])
    link = running.end("r1:eth1")
    shape(link, {name: kind for name, kind in LINK.items() if name not in ("reason", "message")})
    assert (link["namespace"], link["uid"], link["driver"], link["state"]) == ("default", 1, "veth", "Up")
    assert [(end["pod"], end["interface"], end["node"]) for end in link["endpoints"]] == [
        ("r1", "eth1", "n1"),
        ("r2", "eth1", "n1"),
    ]
    for end in link["endpoints"]:
        shape(end, END)
        assert end["counters"].keys() == COUNTERS
        assert end["counters"]["rx_packets"] > 0
        own = running.interfaces(end["pod"])["eth1"]
        assert (end["mac"], end["mtu"], end["carrier"]) == (own.mac, own.mtu, own.carrier)
        assert set(own.addresses) <= set(end["addresses"])


def test_links_that_are_not_up_say_why(lab: Lab, tmp_path: Path) -> None:
    """Unplugged, external, and without a peer: `reason` is there, and each end tells its own state."""
    documents = [topology("r1", [EXTERNAL, MISSING, *(entry for name, entry in CABLES[0].entries() if name == "r1")])]
    documents += [each for each in topologies(CABLES[:1]) if each["metadata"]["name"] == "r2"]
    lab.run("lab", "up", "--wait", "1", write(tmp_path / "lab.yml", [*documents, pod("r1"), pod("r2")]), code=1)
    lab.run("link", "down", "r2:eth1")
    lab.wait("down", "r1:eth1")
    links = lab.links()
    shape(links[1], LINK)
    assert (links[1]["state"], links[1]["reason"]) == ("Down", "Unplugged")
    assert [end["state"] for end in links[1]["endpoints"]] == ["Down", "Down"]
    assert [end["carrier"] for end in links[1]["endpoints"]] == [False, False]

    eventually(lambda: lab.links()[9]["state"] == "Up", "the external link is up")
    external = lab.links()[9]
    shape(external, {**{n: k for n, k in LINK.items() if n not in ("reason", "message")}, "parent": str})
    assert (external["parent"], external["driver"], len(external["endpoints"])) == ("eth0", "macvlan", 1)

    missing = lab.links()[8]
    assert (missing["state"], missing["reason"]) == ("Pending", "PeerMissing")
    near, far = missing["endpoints"]
    assert (near["pod"], near["carrier"]) == ("r1", False)
    assert far == {"pod": "r9", "interface": "eth1"}
    assert [link["uid"] for link in lab.get("links", "r1")] == [link["uid"] for link in lab.get("links")]


def test_every_format_tells_the_same(running: Lab) -> None:
    rows = [[str(cable.uid), cable.a, cable.b, "veth", "Up"] for cable in CABLES]
    assert columns(running.run("get", "links").stdout, 5) == rows
    assert columns(running.run("get", "links", "-o", "wide").stdout, 6) == [["default", *row] for row in rows]
    assert yaml.safe_load(running.run("get", "links", "-o", "yaml").stdout)[0].keys() == running.end("r1:eth1").keys()


def columns(table: str, number: int) -> list[list[str]]:
    return [line.split()[:number] for line in table.splitlines()[1:]]
