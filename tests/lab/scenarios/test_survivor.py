"""What a pod sees while its peer comes and goes: nothing but carrier."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING

import pytest

from tests.lab.scenarios.watching import Events, events
from tests.lab.scenarios.wiring import Cable, network, topologies, write

if TYPE_CHECKING:
    from pathlib import Path

    from tests.lab.scenarios.lab import Lab

TO_R2 = Cable(1, "r1:eth1", "r2:eth1")
TO_R3 = Cable(1, "r1:eth1", "r3:eth1")
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
    cabled = [write(tmp_path / f"to-{each.b[:2]}.yml", topologies([each, OTHER], extra=["r2"])) for each in (TO_R3, TO_R2)]
    ports = len(node_ports(lab))
    before = lab.interfaces("r1")
    lost: list[float] = []
    gained: list[float] = []
    with events(lab, "r1", tmp_path) as watch:
        for number in range(rounds):
            lost.append(until(watch, carrier=False, do=lambda: lab.run("lab", "stop", "r2")))
            gained.append(until(watch, carrier=True, do=lambda: lab.run("lab", "start", "r2")))
            until(watch, carrier=None, do=lambda file=cabled[0]: lab.apply(file))  # to r3, and back
            lab.wait("up", "r1:eth1", "r3:eth1")
            if number % 10 == 0:
                assert lab.pings("r1", TO_R3.addresses[1], "-I", TO_R3.addresses[0])
            until(watch, carrier=None, do=lambda: lab.apply(cabled[1]))
            lab.wait("up", "r1:eth1", "r2:eth1")
        told = watch.all()
    assert lab.interfaces("r1") == before
    assert {event["kind"] for event in told} == {"started", "link"}, "no interface or address came or went"
    names = {event["ifindex"]: event["name"] for event in told if event["kind"] == "link"}
    assert names == {before["eth1"].ifindex: "eth1"}, "and eth2 was never heard of"
    assert all(event["up"] for event in told if event["kind"] == "link")
    assert len(node_ports(lab)) == ports
    assert lab.pings("r1", TO_R2.addresses[1])
    report("carrier lost, after the peer's DEL was answered", lost)
    report("carrier back, after the peer's first process was started", gained)


def until(watch: Events, *, carrier: bool | None, do: object) -> float:
    """Do something and wait until eth1's carrier is so (None: do not wait); return how much later than done, ms."""
    do()
    done = time.monotonic()
    if carrier is None:
        return 0.0
    watch.await_(lambda: watch.carriers("eth1")[-1:] and watch.carriers("eth1")[-1]["carrier"] is carrier, f"carrier {carrier}")
    return (watch.carriers("eth1")[-1]["at"] - done) * 1000


def report(what: str, values: list[float]) -> None:
    print(f"{what}: p50 {statistics.median(values):.1f} ms, max {max(values):.1f} ms ({len(values)} times; < 0: before)")


def node_ports(lab: Lab) -> list[str]:
    return [port for sandbox in lab.get("sandboxes") for port in sandbox["ports"]]
