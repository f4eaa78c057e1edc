"""Many links, equal uids, other ports and names of NICs: nothing is mixed up."""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING

import attrs
import pytest

from tests.lab.scenarios.lab import INSTALLED, eventually
from tests.lab.scenarios.nodes import DRIVERS, bring_up, on_nodes, prefer
from tests.lab.scenarios.watching import capturing, flooding
from tests.lab.scenarios.wiring import Cable, network, topologies, write

if TYPE_CHECKING:
    from pathlib import Path

    from tests.lab.scenarios.lab import Lab

PLACE = {"r1": "n1", "r2": "n2"}
SPACES = ("one", "two")
IN_BOTH = {f"{space}/{pod}": node for space in SPACES for pod, node in PLACE.items()}
PAIRS = {"r1": "n1", "r2": "n2", "r3": "n1", "r4": "n2"}
LONG = pytest.mark.skipif(os.environ.get("MESHNET_SOAK") != "1", reason="takes minutes: MESHNET_SOAK=1")
AS_OTHERS = ("nice", "-n", "1", *INSTALLED)
"""Daemons that were started with a priority go before nobody: of tests beside them, all would fall behind."""


@pytest.mark.parametrize("driver", DRIVERS)
def test_equal_uids_in_two_namespaces_do_not_meet(lab: Lab, tmp_path: Path, driver: str) -> None:
    """The same pods, links, uids and addresses twice: what is sent in one is never seen in the other."""
    cables = [Cable(uid, f"r1:eth{uid}", f"r2:eth{uid}") for uid in (1, 2)]
    documents = [document for space in SPACES for document in network(cables, space)]
    lab.up(*on_nodes(IN_BOTH), *prefer(driver), write(tmp_path / "lab.yml", documents))
    with capturing(lab, "two/r2", "eth1") as seen, flooding(lab, "one/r1", cables[0].addresses[1]) as flood:
        assert lab.pings("two/r1", cables[1].addresses[1])
    assert flood.told["received"] > 100
    assert seen.told["frames"] < 50, "only what the pod's own neighbours say"
    for space in SPACES:
        rows = lab.get("links", "-n", space)
        assert {link["namespace"] for link in rows} == {space}
        assert len(rows) == 2


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_uid_of_another_pair_is_another_link(lab: Lab, tmp_path: Path, driver: str) -> None:
    """meshnet-cni#45; each end has the MAC that it declares (#54)."""
    macs = {pod: f"02:00:00:00:00:0{number}" for number, pod in enumerate(PAIRS, 1)}
    first, second = (
        Cable(7, f"{a}:eth1", f"{b}:eth1", a_only={"local_mac": macs[a]}, b_only={"local_mac": macs[b]})
        for a, b in (("r1", "r2"), ("r3", "r4"))
    )
    bring_up(lab, tmp_path, [first, second], PAIRS, driver)
    assert {pod: lab.interfaces(pod)["eth1"].mac for pod in PAIRS} == macs
    for asks, answers, hears in (("r1", "r2", "r4"), ("r3", "r4", "r2"), ("r2", "r1", "r3"), ("r4", "r3", "r1")):
        address = first.addresses[0 if answers in ("r1", "r3") else 1]
        with capturing(lab, hears, "eth1") as seen, flooding(lab, asks, address) as flood:
            assert lab.pings(asks, address)
        assert flood.told["received"] > 100
        assert seen.told["frames"] < 50, "only what the pod's own neighbours say"


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("count", [200, pytest.param(1000, marks=LONG)])
@pytest.mark.parametrize("driver", DRIVERS)
def test_many_links_in_each_of_two_namespaces(lab: Lab, tmp_path: Path, driver: str, count: int) -> None:
    """Each Topology's status lists its own links, and every link is that of its namespace (KNE#733)."""
    lab = attrs.evolve(lab, command=AS_OTHERS)
    uids = {space: range(1000 * number, 1000 * number + count) for number, space in enumerate(SPACES)}
    documents = [
        document
        for space in SPACES
        for document in network([Cable(uid, f"r1:e{uid}", f"r2:e{uid}") for uid in uids[space]], space)
    ]
    lab.up(*on_nodes(IN_BOTH), *prefer(driver), "--wait", 120, write(tmp_path / "lab.yml", documents))
    for space in SPACES:
        rows = lab.get("links", "-n", space)
        assert {row["uid"] for row in rows} == set(uids[space])
        assert {(row["state"], row["driver"]) for row in rows} == {("Up", driver)}
        eventually(lambda space=space: listed(lab, space) == [list(uids[space])] * 2, "each status lists its own")
        for uid in uids[space][:: count // 20]:
            assert lab.pings(f"{space}/r1", Cable(uid, "", "").addresses[1])


def listed(lab: Lab, space: str) -> list[list[int]]:
    """Return the uids that are Up by the status of each Topology of a namespace."""
    found = lab.get("topologies", "-n", space)
    return [[link["uid"] for link in row["status"]["links"] if link["state"] == "Up"] for row in found]


@pytest.mark.parametrize("driver", DRIVERS)
def test_forty_pods_at_once_and_few_writes_for_each(lab: Lab, tmp_path: Path, driver: str) -> None:
    """A ring with chords over three nodes: writes to the store do not grow with the number of links."""
    pods = [f"p{number}" for number in range(40)]
    ring = [(a, b) for a, b in zip(pods, [*pods[1:], pods[0]], strict=True)]
    chords = [(pods[number], pods[number + 13]) for number in range(26)]
    ports = {pod: itertools.count(1) for pod in pods}
    cables = [
        Cable(uid, f"{a}:eth{next(ports[a])}", f"{b}:eth{next(ports[b])}")
        for uid, (a, b) in enumerate([*ring, *chords], 1)
    ]
    lab.up("--nodes", 3, *prefer(driver), write(tmp_path / "lab.yml", network(cables)))
    links = lab.links()
    assert len(links) == len(cables)
    assert {link["state"] for link in links.values()} == {"Up"}
    assert {link["driver"] for link in links.values()} == {driver, "veth"}
    for cable in cables[::11]:
        assert lab.pings(cable.a.partition(":")[0], cable.addresses[1])
    eventually(lambda: lab.run("wait", "--for", "up", *(cable.a for cable in cables), code=None).returncode == 0, "up")
    versions = [int(row["metadata"]["resourceVersion"]) for row in lab.get("topologies")]
    # 40 applied, 3 nodes' records twice; an ADD, and when all its links are up
    assert max(versions) <= 40 + 6 + 40 * 4


@pytest.mark.parametrize("driver", DRIVERS)
def test_other_ports_and_nics_of_other_names(lab: Lab, tmp_path: Path, driver: str) -> None:
    cable = Cable(1, "r1:eth1", "r2:eth1")
    settings = ("--set", "MESHNET_PORT=5000", "--set", "n2:MESHNET_PORT=5001", "--set", "MESHNET_VXLAN_PORT=4790")
    bring_up(lab, tmp_path, [cable], PLACE, driver, *settings, "--uplink", "n2=ens5")
    assert lab.pings("r1", cable.addresses[1])
    sockets = lab.in_box("ip netns exec n1 ss -lntuH; ip netns exec n2 ss -lntuH")
    assert ":51111" not in sockets
    assert ":5001" in sockets


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_port_that_somebody_holds_is_named(lab: Lab, tmp_path: Path, driver: str) -> None:
    """KNE#633: which address and which port, by link, event and log; it works as soon as the port is free."""
    cables = [Cable(1, "r1:eth1", "r2:eth1"), Cable(2, "r1:eth2", "r2:eth2")]
    bring_up(lab, tmp_path, cables, PLACE, driver)
    kind = "DGRAM" if driver == "vxlan" else "STREAM"
    hold = (
        "import os, socket, time\n"
        f"with socket.socket(socket.AF_INET, socket.SOCK_{kind}) as held:\n"
        "    if held.type is socket.SOCK_STREAM:\n"
        "        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\n"
        "    held.bind(('10.99.0.2', 51111))\n"
        "    held.listen() if held.type is socket.SOCK_STREAM else None\n"
        f"    while os.path.exists({str(tmp_path / 'hold.py')!r}):\n"
        "        time.sleep(0.1)\n"
    )
    (tmp_path / "hold.py").write_text(hold)
    for pod in PLACE:
        lab.run("lab", "stop", pod)
    lab.run("lab", "node", "n2", "stop")
    lab.in_box(f"ip netns exec n2 {lab.python} {tmp_path}/hold.py >/dev/null 2>&1 &")
    lab.run("lab", "node", "n2", "start")
    for pod in PLACE:
        lab.run("lab", "start", pod)
    named = "UDP port 51111 of node n2" if driver == "vxlan" else "10.99.0.2, TCP port 51111"
    eventually(lambda: named in lab.run("lab", "logs", "n2").stdout, "the log names the port", 20)
    eventually(lambda: named in lab.end("r1:eth1").get("message", ""), "so does the link", 20)
    eventually(lambda: named in lab.run("get", "events").stdout, "and an event", 20)
    (tmp_path / "hold.py").unlink()
    lab.wait("up", timeout_s=40)
    assert lab.pings("r1", cables[0].addresses[1])


@pytest.mark.parametrize("driver", DRIVERS)
def test_one_link_that_fails_stops_no_other(lab: Lab, tmp_path: Path, driver: str) -> None:
    good, bad = Cable(1, "r1:eth1", "r2:eth1"), Cable(2, "r1:eth2", "r2:eth2", both={"driver": "no-such"})
    bring_up(lab, tmp_path, [good, bad], PLACE, driver, "--wait", 5, code=1)
    assert lab.pings("r1", good.addresses[1])
    assert (lab.end("r1:eth2")["state"], lab.end("r1:eth2")["reason"]) == ("Failed", "DriverMissing")
    events = lab.run("get", "events").stdout
    assert "no-such" in events
    lab.apply(write(tmp_path / "mended.yml", topologies([good, Cable(2, "r1:eth2", "r2:eth2")])))
    lab.wait("up")
    assert lab.pings("r1", bad.addresses[1])


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_declared_port_without_a_peer_is_there(lab: Lab, tmp_path: Path, driver: str) -> None:
    cables = [Cable(1, "r1:eth1", "r2:eth1"), Cable(2, "r1:eth2", "nobody:eth1")]
    documents = [each for each in network(cables) if each["metadata"]["name"] != "nobody"]
    file = write(tmp_path / "lab.yml", documents)
    lab.up(*on_nodes(PLACE), *prefer(driver), "--wait", 5, file, code=1)
    assert not lab.carrier("r1:eth2")
    assert lab.end("r1:eth2")["reason"] == "PeerMissing"
    assert lab.pings("r1", cables[0].addresses[1])


@pytest.mark.parametrize("driver", DRIVERS)
def test_two_nodes_with_one_address_are_told_and_nothing_is_linked(lab: Lab, tmp_path: Path, driver: str) -> None:
    """meshnet-cni#36: each by its own interface; the link says which nodes, which address, and what to set."""
    cable = Cable(1, "r1:eth1", "r2:eth1")
    bring_up(lab, tmp_path, [cable], PLACE, driver, "--set", "n2:MESHNET_UNDERLAY_INTERFACE=eth0")

    def readdress(before: str, after: str) -> None:
        lab.run("lab", "node", "n2", "stop")
        lab.in_box(f"ip -n n2 address delete {before}/16 dev eth0; ip -n n2 address add {after}/16 dev eth0")
        lab.run("lab", "node", "n2", "start")

    readdress("10.99.0.2", "10.99.0.1")
    eventually(lambda: lab.end("r1:eth1").get("reason") == "AddressConflict", "the link says so", 20)
    assert "10.99.0.1; set HOST_IP or MESHNET_UNDERLAY_INTERFACE" in lab.end("r1:eth1")["message"]
    eventually(lambda: "AddressConflict" in lab.run("get", "events").stdout, "and an event", 20)
    assert not lab.carrier("r1:eth1")
    assert not lab.carrier("r2:eth1")
    readdress("10.99.0.1", "10.99.0.2")
    lab.wait("up")
    assert lab.pings("r1", cable.addresses[1])


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    ("place", "count"),
    [
        pytest.param({"r1": "n1", "r2": "n1"}, 1500, id="veth-1500"),
        pytest.param(PLACE, 300, id="vxlan-300"),
        pytest.param(PLACE, 1500, id="vxlan-1500", marks=LONG),
    ],
)
def test_two_pods_with_many_links(lab: Lab, tmp_path: Path, place: dict[str, str], count: int) -> None:
    """KNE#717: all come up, and again after a restart; ADDs are answered in time."""
    lab = attrs.evolve(lab, command=AS_OTHERS)
    cables = [Cable(uid, f"r1:e{uid}", f"r2:e{uid}") for uid in range(1, count + 1)]
    bring_up(lab, tmp_path, cables, place, "vxlan", "--wait", 120)
    are_all_up(lab, cables)
    lab.run("lab", "restart", "r2")
    lab.wait("up", timeout_s=120)
    are_all_up(lab, cables)


def are_all_up(lab: Lab, cables: list[Cable]) -> None:
    links = lab.links()
    assert len(links) == len(cables)
    assert {link["state"] for link in links.values()} == {"Up"}
    assert all(lab.pings("r1", cable.addresses[1]) for cable in cables[:: len(cables) // 3])
