"""What a pod sees while its peer comes and goes: nothing but carrier."""

from __future__ import annotations

import itertools
import statistics
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.lab.scenarios.watching import Events, events
from tests.lab.scenarios.wiring import Cable, network, topologies, write

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.lab.scenarios.lab import Lab

TO_R2 = Cable(1, "r1:eth1", "r2:eth1")
TO_R3 = Cable(1, "r1:eth1", "r3:eth1", b_only={"local_ip": "10.100.1.3/24"})
OTHER = Cable(2, "r1:eth2", "r3:eth2")


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("rounds", [100])
def test_nothing_changes_but_carrier_in_100_rounds(lab: Lab, tmp_path: Path, rounds: int) -> None:
    survive(lab, tmp_path, rounds)


def test_nothing_changes_but_carrier_in_some_rounds(lab: Lab, tmp_path: Path) -> None:
    survive(lab, tmp_path, rounds=5)


def survive(lab: Lab, tmp_path: Path, rounds: int) -> None:
    """Delete, re-create and re-cable r1's peer that often; print how soon carrier followed."""
    lab.up(write(tmp_path / "lab.yml", network([TO_R2, OTHER], extra=["r3"])))
    cabled = [
        write(tmp_path / f"to-{each.b[:2]}.yml", topologies([each, OTHER], extra=["r2"])) for each in (TO_R3, TO_R2)
    ]
    ports = len(node_ports(lab))
    before = lab.interfaces("r1")
    lost, gained = [], []
    with events(lab, "r1", tmp_path) as watch:
        for _ in range(rounds):
            lost.append(until(watch, carrier=False, do=lambda: lab.run("lab", "stop", "r2")))
            gained.append(until(watch, carrier=True, do=lambda: lab.run("lab", "start", "r2")))
            for file, peer in zip(cabled, ("10.100.1.3", "10.100.1.2"), strict=True):
                lab.apply(file)
                assert lab.pings("r1", peer), peer
        told = watch.all()
    assert lab.interfaces("r1") == before
    assert {event["kind"] for event in told} == {"started", "link"}, "no interface or address came or went"
    names = {event["ifindex"]: event["name"] for event in told if event["kind"] == "link"}
    assert names == {before["eth1"].ifindex: "eth1"}, "and eth2 was never heard of"
    assert all(event["up"] for event in told if event["kind"] == "link")
    assert len(node_ports(lab)) == ports
    assert lab.pings("r1", TO_R2.addresses[1])
    report("carrier lost, from the end of `lab stop`", lost)
    report("carrier back, from the end of `lab start`", gained)


def test_carrier_follows_the_peers_admin_state(lab: Lab, tmp_path: Path) -> None:
    """`ip link set eth1 down` in one pod takes carrier away in the other, and nothing else."""
    lab.up(write(tmp_path / "lab.yml", network([TO_R2])))
    before = lab.interfaces("r2")
    toggle = "for i in $(seq 20); do ip link set eth1 down; sleep 0.1; ip link set eth1 up; sleep 0.1; done"
    with events(lab, "r1", tmp_path) as near, events(lab, "r2", tmp_path) as far:
        lab.exec("r1", "sh", "-c", toggle)
        far.await_(lambda: len(far.carriers("eth1")) == 40, "r2 saw carrier go and come 20 times")
        ordered = [event for event in near.all() if event["kind"] == "link"]
    assert lab.interfaces("r2") == before
    turns = [event for last, event in itertools.pairwise([{"up": True}, *ordered]) if event["up"] != last["up"]]
    delays = [(b["at"] - a["at"]) * 1000 for a, b in zip(turns, far.carriers("eth1"), strict=True)]
    assert [event["up"] for event in turns] == [event["carrier"] for event in far.carriers("eth1")]
    report("carrier at the peer, from `ip link set`", delays)


def until(watch: Events, *, carrier: bool, do: Callable[[], object]) -> float:
    """Do something and wait until eth1's carrier is so; return how much later than done that was, ms."""
    do()
    done = time.monotonic()

    def latest() -> dict[str, Any]:
        return (watch.carriers("eth1") or [{}])[-1]

    watch.await_(lambda: latest().get("carrier") is carrier, f"carrier {carrier}")
    return float(latest()["at"] - done) * 1000


def report(what: str, values: list[float]) -> None:
    print(
        f"{what}: p50 {statistics.median(values):.1f} ms, max {max(values):.1f} ms ({len(values)} times; < 0: earlier)"
    )


def node_ports(lab: Lab) -> list[str]:
    return [port for sandbox in lab.get("sandboxes") for port in sandbox["ports"]]
