"""Links to the node's own interfaces (`peer_pod: localhost`), which a driver makes in the pod itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.lab.scenarios.lab import Interface, Lab, eventually
from tests.lab.scenarios.wiring import Document, pod, topology, write

if TYPE_CHECKING:
    from pathlib import Path


def external(name: str, uid: int, **fields: Any) -> Document:
    link = {"uid": uid, "peer_pod": "localhost", "local_intf": "eth1", "peer_intf": "eth0"}
    return topology(name, [{**link, "local_ip": f"10.40.0.{uid}/24", **fields}])


@pytest.fixture
def running(lab: Lab, tmp_path: Path) -> Lab:
    lab.up(write(tmp_path / "lab.yml", [external("r1", 1), external("r2", 2), pod("r1"), pod("r2")]))
    assert lab.pings("r1", "10.40.0.2")
    return lab


def interface(lab: Lab) -> Interface | None:
    return lab.interfaces("r1").get("eth1")


def test_on_another_interface_of_the_node_it_keeps_name_and_addresses(running: Lab, tmp_path: Path) -> None:
    running.in_box(
        "ip -n n1 link add lan1 type veth peer name lan2; ip -n n1 link set lan1 up; ip -n n1 link set lan2 up"
    )
    ips = {"local_ips": ["fd00::1/64"]}
    running.apply(write(tmp_path / "moved.yml", [external("r1", 1, peer_intf="lan1", **ips)]))
    running.apply(write(tmp_path / "moved2.yml", [external("r2", 2, peer_intf="lan1")]))
    wanted = ("10.40.0.1/24", "fd00::1/64")
    eventually(lambda: (found := interface(running)) and found.addresses == wanted, f"addresses {wanted}")
    running.wait("up")
    assert running.end("r1:eth1")["parent"] == "lan1"
    assert running.pings("r1", "10.40.0.2")


def test_one_that_the_pod_has_deleted_comes_back_whole(running: Lab) -> None:
    running.exec("r1", "ip", "link", "delete", "eth1")
    eventually(lambda: (found := interface(running)) and found.addresses == ("10.40.0.1/24",), "it is back")
    running.wait("up")
    assert running.pings("r1", "10.40.0.2")


def test_a_new_daemon_leaves_what_the_pod_has_changed(running: Lab) -> None:
    """An address taken away and an interface set down by the pod stay so."""
    running.exec("r1", "ip", "address", "delete", "10.40.0.1/24", "dev", "eth1")
    running.exec("r1", "ip", "link", "set", "eth1", "down")
    before = running.exec("r1", "ip", "-o", "address"), running.exec("r1", "ip", "-o", "link")
    running.run("lab", "node", "n1", "kill")
    running.run("lab", "node", "n1", "start")
    running.wait("up", "r2:eth1")
    assert (running.exec("r1", "ip", "-o", "address"), running.exec("r1", "ip", "-o", "link")) == before


def test_unplugged_it_has_no_carrier(running: Lab) -> None:
    running.run("link", "down", "r1:eth1")
    running.wait("down", "r1:eth1")
    assert not running.carrier("r1:eth1")
    assert not running.pings("r1", "10.40.0.2", "-w", "1")
    running.run("link", "up", "r1:eth1")
    running.wait("up", "r1:eth1")
    assert running.pings("r1", "10.40.0.2")


def test_a_pod_started_again_has_it_again_and_only_once(running: Lab) -> None:
    for _ in range(3):
        running.run("lab", "restart", "r1")
        found = interface(running)
        assert found is not None
        assert found.addresses == ("10.40.0.1/24",)
    assert running.pings("r1", "10.40.0.2")
    running.run("lab", "stop", "r1")
    running.run("lab", "stop", "r2")
    assert running.get("sandboxes") == []
