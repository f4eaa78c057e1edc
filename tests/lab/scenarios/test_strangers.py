"""Drivers of an unrelated distribution: installed by pip they wire links, uninstalled their links say why not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.lab.scenarios import strangers
from tests.lab.scenarios.lab import eventually
from tests.lab.scenarios.watching import flooding
from tests.lab.scenarios.wiring import Cable, network, topologies, write

if TYPE_CHECKING:
    from pathlib import Path

    from tests.lab.scenarios.elsewhere import Venv
    from tests.lab.scenarios.lab import Lab

PUMP = Cable(1, "r1:eth1", "r2:eth1", both={"driver": "pump"})
STRAND = Cable(2, "r1:eth2", "r2:eth2", a_only={"driver": "strand"})
VETH = Cable(3, "r1:eth3", "r2:eth3")
CABLES = (PUMP, STRAND, VETH)


def drivers(lab: Lab) -> dict[str, dict[str, str]]:
    return {row["name"]: row for row in json.loads(lab.run("drivers", "-o", "json", code=None).stdout)}


def test_installed_they_wire_and_uninstalled_their_links_say_why(there: Lab, elsewhere: Venv, tmp_path: Path) -> None:
    source = strangers.write_project(tmp_path / "acme")
    elsewhere.install(source)
    there.up(write(tmp_path / "lab.yml", network(CABLES)))
    told = drivers(there)
    assert {"pump", "strand", "veth", "macvlan"} <= told.keys()
    assert (told["pump"]["distribution"], told["pump"]["version"], told["pump"]["state"]) == (
        "acme-wires",
        "7.1",
        "usable",
    )
    assert {uid: link["driver"] for uid, link in there.links().items()} == {1: "pump", 2: "strand", 3: "veth"}
    answers(there)
    comes_back_when_a_pod_does(there)
    carrier_is_taken_and_given(there)

    elsewhere.pip("uninstall", "-y", strangers.NAME)
    with flooding(there, "r1", VETH.addresses[1]) as other:
        there.run("lab", "node", "n1", "kill")
        there.run("lab", "node", "n1", "start")
        reasons = {1: ("Failed", "DriverMissing"), 2: ("Failed", "DriverMissing"), 3: ("Up", None)}
        eventually(lambda: states(there) == reasons, f"{reasons}")
    assert other.lost == 0
    for uid, name in ((1, "pump"), (2, "strand")):
        assert name in there.links()[uid]["message"]
        assert "veth" in there.links()[uid]["message"], "names those that are there"
    assert not there.carrier("r1:eth1")
    assert not there.pings("r1", PUMP.addresses[1], "-w", "1")
    assert not {"pump", "strand"} & drivers(there).keys()

    elsewhere.install(source)
    there.run("lab", "node", "n1", "stop")
    there.run("lab", "node", "n1", "start")
    there.wait("up")
    answers(there)


def states(lab: Lab) -> dict[int, tuple[str, str | None]]:
    return {uid: (link["state"], link.get("reason")) for uid, link in lab.links().items()}


def answers(lab: Lab) -> None:
    """Every link's both ends answer, at the MTU and not beyond."""
    for cable in CABLES:
        for pod, address in zip(("r2", "r1"), cable.addresses, strict=True):
            assert lab.pings(pod, address, "-M", "do", "-s", 1372), (cable, pod)
            assert not lab.pings(pod, address, "-M", "do", "-s", 1473, "-w", "1")


def comes_back_when_a_pod_does(lab: Lab) -> None:
    port = lab.interfaces("r1")["eth1"]
    for pod in ("r2", "r1"):
        lab.run("lab", "restart", pod)
        lab.wait("up")
        answers(lab)
        if pod == "r2":
            assert lab.interfaces("r1")["eth1"] == port


def carrier_is_taken_and_given(lab: Lab) -> None:
    """Core does it for whatever drives a port; a direct driver without the ability says so."""
    lab.run("link", "down", "r1:eth1")
    lab.wait("down", "r1:eth1")
    assert not lab.carrier("r1:eth1")
    assert not lab.carrier("r2:eth1")
    lab.run("link", "down", "r1:eth2")
    eventually(lambda: lab.links()[2].get("reason") == "CarrierUnsupported", "strand cannot")
    lab.run("link", "up", "r1:eth1")
    lab.run("link", "up", "r1:eth2")
    lab.wait("up")


def test_a_default_driver_may_be_chosen_for_a_whole_lab(there: Lab, elsewhere: Venv, tmp_path: Path) -> None:
    elsewhere.install(strangers.write_project(tmp_path / "acme"))
    cable = Cable(1, "r1:eth1", "r2:eth1")
    there.up("--driver", "pump", write(tmp_path / "lab.yml", network([cable])))
    assert there.links()[1]["driver"] == "pump"
    assert there.pings("r1", cable.addresses[1])
    there.apply(write(tmp_path / "veth.yml", topologies([Cable(1, cable.a, cable.b, both={"driver": "veth"})])))
    eventually(lambda: there.links()[1]["driver"] == "veth", "the driver is another")
    there.wait("up")
    assert there.pings("r1", cable.addresses[1])


def test_a_broken_driver_is_told_and_stops_nothing(there: Lab, elsewhere: Venv, tmp_path: Path) -> None:
    source = strangers.write_project(tmp_path / "acme")
    (source / "acme_wires.py").write_text("import no_such_module\n")
    elsewhere.install(source)
    there.run("lab", "up", "--wait", "2", write(tmp_path / "lab.yml", network(CABLES)), code=1)
    broken = [
        row for row in json.loads(there.run("drivers", "-o", "json", code=None).stdout) if row["state"] == "broken"
    ]
    assert [row["distribution"] for row in broken] == ["acme-wires"]
    assert "no_such_module" in json.dumps(broken)
    assert there.pings("r1", VETH.addresses[1])
    assert "no_such_module" in there.links()[1]["message"] or "pump" in there.links()[1]["message"]
