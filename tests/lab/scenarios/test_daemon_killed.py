"""The data path does not notice that the daemon is away."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.lab.scenarios.lab import Lab, eventually
from tests.lab.scenarios.watching import events, flooding
from tests.lab.scenarios.wiring import Cable, pod, topologies, write

if TYPE_CHECKING:
    from pathlib import Path

CABLES = (
    Cable(1, "r1:eth1", "r2:eth1"),
    Cable(2, "r1:eth2", "r3:eth1"),
    Cable(3, "r2:eth2", "r3:eth2"),
    Cable(4, "r1:eth4", "r2:eth4", both={"options": {"offload": True}}),
)


@pytest.fixture
def running(lab: Lab, tmp_path: Path) -> Lab:
    pods = [pod(name, restartPolicy="Never") for name in ("r1", "r2", "r3")]
    lab.up(write(tmp_path / "lab.yml", topologies(CABLES) + pods))
    return lab


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_nothing_is_lost_and_carrier_is_silent(running: Lab, tmp_path: Path, end: str) -> None:
    before = {name: running.interfaces(name) for name in ("r1", "r2", "r3")}
    ports = sorted((row["pod"], *row["ports"]) for row in running.get("sandboxes"))
    with (
        events(running, "r1", tmp_path) as near,
        events(running, "r2", tmp_path) as far,
        flooding(running, "r1", CABLES[0].addresses[1]) as mirred,
        flooding(running, "r2", CABLES[3].addresses[0]) as offload,
    ):
        for _ in range(2):
            running.run("lab", "node", "n1", end)
            running.run("lab", "node", "n1", "start")
            running.wait("up")
    print(f"mirred {mirred.told}, offload {offload.told}")
    assert min(mirred.told["sent"], offload.told["sent"]) > 500
    assert (mirred.lost, offload.lost) == (0, 0)
    assert [event for watch in (near, far) for event in watch.all() if event["kind"] != "started"] == []
    assert {name: running.interfaces(name) for name in before} == before
    assert sorted((row["pod"], *row["ports"]) for row in running.get("sandboxes")) == ports
    adopted = "3 sandboxes and 8 ends adopted"
    assert running.run("lab", "logs", "n1").stdout.count(adopted) == 2
    assert running.run("lab", "restart", "r3").returncode == 0
    running.wait("up")


def test_what_changed_meanwhile_is_found_at_its_start(running: Lab, tmp_path: Path) -> None:
    """A pod gone without a DEL, an edited link, a removed one."""
    running.run("lab", "node", "n1", "kill")
    running.end_sandbox("r3")
    edited = [Cable(1, "r1:eth1", "r2:eth1", both={"mtu": 1400})]
    running.apply(write(tmp_path / "edited.yml", topologies(edited, extra=["r3"])))
    with flooding(running, "r1", CABLES[0].addresses[1]) as flood:
        running.run("lab", "node", "n1", "start")
        eventually(lambda: running.interfaces("r1").keys() == {"eth1"}, "links that are declared no more are gone")
        eventually(lambda: running.interfaces("r2")["eth1"].mtu == 1400, "the edit is applied")
    assert flood.lost == 0
    eventually(lambda: {row["pod"] for row in running.get("sandboxes")} == {"r1", "r2"}, "r3 is forgotten", 10)
    assert len(running.ports()) == 2


def test_add_fails_within_bounded_time_and_can_be_tried_again(running: Lab) -> None:
    running.run("lab", "stop", "r3")
    running.run("lab", "node", "n1", "kill")
    ran = running.run("lab", "start", "r3", code=1)
    assert "default/r3" in ran.stderr
    running.run("lab", "node", "n1", "start")
    running.run("lab", "start", "r3")
    running.wait("up")
    assert running.pings("r3", CABLES[1].addresses[0])


def test_add_waits_for_a_daemon_that_is_restarting(running: Lab) -> None:
    running.run("lab", "stop", "r3")
    running.run("lab", "node", "n1", "kill")
    with running.started("lab", "start", "r3") as start:
        time.sleep(1)
        assert start.poll() is None
        running.run("lab", "node", "n1", "start")
        assert start.wait(10) == 0
    running.wait("up")
    assert running.pings("r3", CABLES[1].addresses[0])


def test_a_namespace_removed_without_del_is_cleaned_up(running: Lab) -> None:
    ports = running.ports()
    assert len(ports) == 8
    running.end_sandbox("r3")
    eventually(lambda: len(running.ports()) == 6, "the ports of the dead pod are gone", 10)
    eventually(lambda: len(running.get("sandboxes")) == 2, "its sandbox is forgotten", 10)
    assert not running.carrier("r1:eth2")
    assert not running.carrier("r2:eth2")
    eventually(lambda: running.end("r1:eth2").get("reason") == "PeerNotRunning", "and its peers say why")
    assert running.pings("r1", CABLES[0].addresses[1])
    running.run("lab", "restart", "r3")
    running.wait("up")
    assert running.pings("r1", CABLES[1].addresses[1])
