"""Carrier across nodes: what happens at the other end, or to the other node, and what does not."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.lab.scenarios.lab import eventually
from tests.lab.scenarios.nodes import DRIVERS, bring_up, devices, took
from tests.lab.scenarios.watching import events, flooding
from tests.lab.scenarios.wiring import Cable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.lab.scenarios.lab import Lab

ACROSS = Cable(1, "r1:eth1", "r2:eth1")
ALSO = Cable(2, "r1:eth2", "r2:eth2")
ELSEWHERE = Cable(3, "r1:eth3", "r3:eth1")
WITHIN = Cable(4, "r1:eth4", "r4:eth1")
PLACE = {"r1": "n1", "r4": "n1", "r2": "n2", "r3": "n3"}
OF_R2 = ("eth1", "eth2")


@pytest.fixture(params=DRIVERS)
def driver(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def running(lab: Lab, tmp_path: Path, driver: str) -> Lab:
    bring_up(lab, tmp_path, [ACROSS, ALSO, ELSEWHERE, WITHIN], PLACE, driver)
    return lab


def has(lab: Lab, *interfaces: str) -> bool:
    """Tell whether these interfaces of r1 have carrier."""
    found = lab.interfaces("r1")
    return all(found[name].carrier for name in interfaces)


def lost(lab: Lab, *interfaces: str) -> bool:
    found = lab.interfaces("r1")
    return not any(found[name].carrier for name in interfaces)


def others_lose_nothing(lab: Lab, do: Callable[[], None]) -> None:
    """Do something under traffic of links that it does not concern."""
    with (
        flooding(lab, "r1", ELSEWHERE.addresses[1]) as away,
        flooding(lab, "r1", WITHIN.addresses[1]) as near,
    ):
        do()
    assert (away.lost, near.lost) == (0, 0)
    assert has(lab, "eth3", "eth4")


def test_the_peers_interface_goes_down_and_up(running: Lab, tmp_path: Path) -> None:
    def do() -> None:
        with events(running, "r1", tmp_path) as watch:
            for up in (False, True) * 3:
                running.exec("r2", "ip", "link", "set", "eth1", "up" if up else "down")
                watch.await_(
                    lambda up=up: [e["carrier"] for e in watch.carriers("eth1")][-1:] == [up], "carrier follows"
                )
        assert has(running, "eth1", "eth2")

    others_lose_nothing(running, do)
    running.exec("r2", "ip", "address", "replace", f"{ACROSS.addresses[1]}/24", "dev", "eth1")
    assert running.pings("r1", ACROSS.addresses[1])


def test_unplugged_and_plugged_in(running: Lab) -> None:
    def do() -> None:
        running.run("link", "down", "r2:eth1")
        # Each node reads the Topology by itself: which one takes its carrier first is not said.
        took(lambda: lost(running, "eth1") and not running.carrier("r2:eth1"), "unplugged")
        eventually(lambda: running.end("r1:eth1")["state"] == "Down", "both nodes say so")
        running.run("link", "up", "r1:eth1")
        took(lambda: has(running, "eth1") and running.carrier("r2:eth1"), "plugged in")

    others_lose_nothing(running, do)
    assert running.pings("r1", ACROSS.addresses[1])


def test_the_peer_goes_and_comes(running: Lab) -> None:
    def do() -> None:
        running.run("lab", "stop", "r2")
        took(lambda: lost(running, *OF_R2), "the pod is gone")
        assert running.end("r1:eth1")["reason"] == "PeerNotRunning"
        running.run("lab", "start", "r2")
        took(lambda: has(running, *OF_R2), "the pod is back")

    others_lose_nothing(running, do)


@pytest.mark.parametrize("how", [(), ("--direction", "in"), ("--direction", "out")], ids=["unplugged", "in", "out"])
def test_an_isolated_node_is_dead_until_it_returns(running: Lab, how: tuple[str, ...]) -> None:
    running.run("lab", "node", "n2", "isolate", *how)
    took(lambda: lost(running, *OF_R2), "the node is isolated")
    eventually(lambda: not running.carrier("r2:eth1"), "the isolated node finds the other one dead, too")
    assert has(running, "eth3", "eth4")
    link = running.end("r1:eth1")
    assert (link["state"], link["reason"]) == ("Failed", "NodeLost")
    running.run("lab", "node", "n2", "rejoin")
    took(lambda: has(running, *OF_R2) and running.carrier("r2:eth1"), "the node is back")
    assert running.pings("r1", ACROSS.addresses[1])
    running.wait("up")


def test_a_node_that_hears_the_other_and_is_not_heard_loses_carrier_too(running: Lab) -> None:
    """As through a firewall that lets connections pass in one direction alone."""
    running.exec("n2", "sh", "-c", "ip address del 10.99.0.2/16 dev eth0 && ip address add 10.99.0.200/16 dev eth0")
    took(lambda: lost(running, *OF_R2), "the node is not where it said")
    eventually(lambda: not running.carrier("r2:eth1"), "it is told so")
    eventually(lambda: running.end("r2:eth1").get("reason") == "NodeLost", "a user is told, too")
    assert running.end("r2:eth1")["message"] == "node n2 does not answer at 10.99.0.2, TCP port 51111"
    running.exec("n2", "sh", "-c", "ip address del 10.99.0.200/16 dev eth0 && ip address add 10.99.0.2/16 dev eth0")
    took(lambda: has(running, *OF_R2) and running.carrier("r2:eth1"), "it is back")
    assert running.pings("r1", ACROSS.addresses[1])


def test_a_node_that_loses_its_power(running: Lab) -> None:
    running.run("lab", "node", "n2", "kill")
    running.run("lab", "node", "n2", "isolate")
    took(lambda: lost(running, *OF_R2), "no daemon, no node")
    assert has(running, "eth3", "eth4")
    time.sleep(13)  # by then a driver knows, too, that its stream is lost
    assert (running.end("r1:eth1")["state"], running.end("r1:eth1")["reason"]) == ("Failed", "NodeLost")


@pytest.mark.parametrize("pods_too", [False, True], ids=["daemon", "pods-too"])
def test_a_node_that_lost_its_power_returns(running: Lab, pods_too: bool) -> None:
    """Its daemon is there before its network is; pods that are gone, without a DEL, come anew after it."""
    running.run("lab", "node", "n2", "kill")
    running.run("lab", "node", "n2", "isolate")
    if pods_too:
        running.end_sandbox("r2")
    took(lambda: lost(running, *OF_R2), "no daemon, no node")
    running.run("lab", "node", "n2", "start")
    running.run("lab", "node", "n2", "rejoin")
    if pods_too:
        running.run("lab", "restart", "r2")
    took(lambda: has(running, *OF_R2), "the node is back", 30)
    took(lambda: all(running.carrier(f"r2:{name}") for name in OF_R2), "so is carrier at its own end", 30)
    running.wait("up")
    for cable in (ACROSS, ALSO):
        assert running.pings("r1", cable.addresses[1])
        assert running.pings("r2", cable.addresses[0])


def test_a_node_that_is_shut_down(running: Lab) -> None:
    """First the daemon is stopped, and carrier stays; then the node is silent."""
    running.run("lab", "node", "n2", "stop")
    time.sleep(2)
    assert has(running, *OF_R2)
    running.run("lab", "node", "n2", "isolate")
    took(lambda: lost(running, *OF_R2), "stopped, then silent")
    running.run("lab", "node", "n2", "rejoin")
    running.run("lab", "node", "n2", "start")
    took(lambda: has(running, *OF_R2), "started again")


def test_how_long_a_node_may_be_silent_can_be_set(lab: Lab, tmp_path: Path, driver: str) -> None:
    patience = ("--set", "MESHNET_PEER_TIMEOUT_SECONDS=12")
    bring_up(lab, tmp_path, [ACROSS], {"r1": "n1", "r2": "n2"}, driver, *patience)
    lab.run("lab", "node", "n2", "isolate")
    time.sleep(6)  # twice as long as by default
    assert lab.carrier("r1:eth1")
    took(lambda: not lab.carrier("r1:eth1"), "the node is silent for too long", 20)


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_a_daemon_that_restarts_flaps_nothing(running: Lab, tmp_path: Path, driver: str, end: str) -> None:
    with events(running, "r1", tmp_path) as near, events(running, "r2", tmp_path) as far:
        for node in ("n2", "n1"):
            with flooding(running, "r1", ACROSS.addresses[1]) as flood:
                running.run("lab", "node", node, end)
                time.sleep(1)
                running.run("lab", "node", node, "start")
                running.wait("up")
            print(f"{driver}, {node}: {flood.told}")
            if driver == "vxlan":
                assert flood.lost == 0
            assert running.pings("r1", ACROSS.addresses[1])
    assert [event for watch in (near, far) for event in watch.all() if event["kind"] != "started"] == []


def test_a_daemon_that_stays_away(running: Lab, driver: str) -> None:
    """Kernel patches go on for ever; what the daemon itself forwards loses its carrier after the grace."""
    running.run("lab", "node", "n2", "kill")
    if driver == "vxlan":
        time.sleep(13)
        assert has(running, *OF_R2)
        assert running.pings("r1", ACROSS.addresses[1])
    else:
        time.sleep(5)
        assert has(running, *OF_R2)
        took(lambda: lost(running, *OF_R2), "the grace is over", 15)
        time.sleep(3)  # and the driver's
        assert running.end("r1:eth1")["reason"] == "PeerUnreachable"
    running.run("lab", "node", "n2", "start")
    took(lambda: has(running, *OF_R2), "it is back")
    assert running.pings("r1", ACROSS.addresses[1])


@pytest.mark.parametrize("what", ["set {} down", "del {}"])
def test_a_device_that_somebody_takes_away_is_back_at_once(lab: Lab, tmp_path: Path, what: str) -> None:
    bring_up(lab, tmp_path, [ACROSS], {"r1": "n1", "r2": "n2"}, "vxlan")
    (device,) = (name for name in devices(lab, "n1") if name.startswith("vx"))
    assert lab.pings("r1", ACROSS.addresses[1])

    lab.in_box(f"ip -n n1 link {what.format(device)}")

    took(lambda: lab.pings("r1", ACROSS.addresses[1], "-W", "1"), "the device is back", 5)
