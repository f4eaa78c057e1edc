"""Editing a Topology acts on running pods, and on nothing but the link that was edited."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.lab.scenarios.lab import Interface, Lab, eventually
from tests.lab.scenarios.watching import events, flooding
from tests.lab.scenarios.wiring import Cable, Document, network, topologies, write

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

STAYS = Cable(1, "r1:eth1", "r2:eth1")
EDITED = Cable(2, "r1:eth2", "r2:eth2")
NEW = Cable(3, "r1:eth3", "r3:eth1")
TO_R3 = Cable(2, "r1:eth2", "r3:eth2", b_only={"local_ip": "10.100.2.3/24"})
PODS = ("r1", "r2", "r3")


@pytest.fixture
def running(lab: Lab, tmp_path: Path) -> Lab:
    lab.up(write(tmp_path / "lab.yml", network([STAYS, EDITED], extra=["r3"])))
    return lab


def edit(lab: Lab, directory: Path, cables: Sequence[Cable]) -> None:
    lab.apply(write(directory / "edited.yml", topologies(cables, extra=set(PODS) - _pods(cables))))


def _pods(cables: Sequence[Cable]) -> set[str]:
    return {pod for cable in cables for pod, _ in cable.entries()}


def interface(lab: Lab, place: str) -> Interface | None:
    pod, _, name = place.partition(":")
    return lab.interfaces(pod).get(name)


def test_other_links_lose_nothing_while_one_is_edited_in_every_way(running: Lab, tmp_path: Path) -> None:
    """Add a link and a pod's first interface; change an MTU up and down; re-cable; remove; change addresses."""
    lab = running
    untouched = interface(lab, "r1:eth1"), interface(lab, "r2:eth1")
    own = interface(lab, "r1:eth2")
    assert own is not None
    with events(lab, "r2", tmp_path) as watch, flooding(lab, "r1", STAYS.addresses[1]) as flood:
        edit(lab, tmp_path, [STAYS, EDITED, NEW])
        lab.wait("up", "r1:eth3")
        assert lab.pings("r3", NEW.addresses[0])

        for mtu in (9000, 1280):
            edit(lab, tmp_path, [STAYS, Cable(2, EDITED.a, EDITED.b, a_only={"mtu": mtu}), NEW])
            await_mtu(lab, EDITED, mtu)
            assert lab.pings("r1", EDITED.addresses[1], "-M", "do", "-s", mtu - 28)
            assert not lab.pings("r1", EDITED.addresses[1], "-M", "do", "-s", mtu - 27)

        edit(lab, tmp_path, [STAYS, TO_R3, NEW])
        assert lab.pings("r1", "10.100.2.3")
        eventually(lambda: interface(lab, "r2:eth2") is None, "r2 loses the interface that it declares no more")
        now = interface(lab, "r1:eth2")
        assert now is not None
        assert (now.ifindex, now.mac, now.mtu, now.addresses) == (own.ifindex, own.mac, own.mtu, own.addresses)

        edit(lab, tmp_path, [STAYS, Cable(2, TO_R3.a, TO_R3.b, a_only={"local_ip": "10.77.0.1/24"}), NEW])
        eventually(lambda: addresses(lab, "r1:eth2") == ("10.77.0.1/24",), "the address is another")

        edit(lab, tmp_path, [STAYS, NEW])
        eventually(lambda: interface(lab, "r1:eth2") is None, "r1 loses the interface")
        eventually(lambda: interface(lab, "r3:eth2") is None, "r3 loses the interface")
    assert flood.told["sent"] > 1000
    assert flood.lost == 0
    assert watch.carriers("eth1") == []
    assert (interface(lab, "r1:eth1"), interface(lab, "r2:eth1")) == untouched
    assert lab.pings("r3", NEW.addresses[0])
    print(f"flood: {flood.told}")


def mtus(lab: Lab, cable: Cable) -> list[int]:
    return [found.mtu for found in (interface(lab, place) for place in (cable.a, cable.b)) if found]


def await_mtu(lab: Lab, cable: Cable, mtu: int) -> None:
    eventually(lambda: mtus(lab, cable) == [mtu, mtu], f"both ends have mtu {mtu}")


def addresses(lab: Lab, place: str) -> tuple[str, ...]:
    found = interface(lab, place)
    return found.addresses if found else ()


def test_the_link_that_gets_another_mtu_loses_nothing_either(running: Lab, tmp_path: Path) -> None:
    with flooding(running, "r1", EDITED.addresses[1]) as flood:
        for mtu in (9000, 1400, 2000):
            edit(running, tmp_path, [STAYS, Cable(2, EDITED.a, EDITED.b, b_only={"mtu": mtu})])
            await_mtu(running, EDITED, mtu)
    assert flood.lost == 0


def test_each_recabling_is_one_loss_of_carrier_and_the_new_peer_answers_at_once(running: Lab, tmp_path: Path) -> None:
    """Though the new peer has the address of the one before, and what the pod knew is another's MAC."""
    address = EDITED.addresses[1]
    other = Cable(2, EDITED.a, TO_R3.b, b_only={"local_ip": f"{address}/24"})
    turns = [(EDITED, other), (other, EDITED)] * 5
    with events(running, "r1", tmp_path) as watch:
        for before, now in turns:
            assert running.pings("r1", address)
            edit(running, tmp_path, [STAYS, now])
            eventually(lambda before=before: interface(running, before.b) is None, f"{before.b} goes")
            running.wait("up", now.b)
            eventually(lambda: running.pings("r1", address, "-w", "1"), f"{now.b} answers", 2)
    assert [change["carrier"] for change in watch.carriers("eth2")] == [False, True] * len(turns)


def test_a_deleted_topology_only_unplugs(running: Lab, tmp_path: Path) -> None:
    """The interfaces stay until DEL; applied again, the links come back to the same interfaces."""
    before = running.interfaces("r2")
    running.run("delete", "topology", "r2")
    eventually(lambda: not running.carrier("r1:eth1"), "r1 loses carrier")
    assert {name: each.ifindex for name, each in running.interfaces("r2").items()} == {
        name: each.ifindex for name, each in before.items()
    }
    assert running.end("r1:eth1")["reason"] == "PeerMissing"
    edit(running, tmp_path, [STAYS, EDITED])
    running.wait("up")
    assert running.interfaces("r2") == before
    assert running.pings("r1", STAYS.addresses[1])


def test_ends_that_disagree_say_so_and_come_back_when_they_agree(running: Lab, tmp_path: Path) -> None:
    half = Cable(2, EDITED.a, EDITED.b, a_only={"mtu": 1400}, b_only={"mtu": 1300})
    edit(running, tmp_path, [STAYS, half])
    eventually(lambda: running.end("r1:eth2").get("reason") == "PeerMismatch", "the reason is told")
    assert {"1400", "1300"} <= set(running.end("r1:eth2")["message"].replace(",", " ").split())
    assert not running.carrier("r1:eth2")
    assert not running.carrier("r2:eth2")
    edit(running, tmp_path, [STAYS, EDITED])
    running.wait("up")
    assert running.pings("r1", EDITED.addresses[1])


def test_an_invalid_edit_is_refused_and_changes_nothing(running: Lab, tmp_path: Path) -> None:
    documents: list[Document] = topologies([STAYS, EDITED])
    documents[0]["spec"]["links"][1]["local_intf"] = "eth1"
    before = running.get("topologies")
    ran = running.run("apply", "-f", write(tmp_path / "wrong.yml", documents), code=None)
    assert ran.returncode != 0
    assert "spec.links[1].local_intf" in ran.stderr
    assert running.get("topologies") == before
    assert running.pings("r1", EDITED.addresses[1])
