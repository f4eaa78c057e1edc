"""What a program that reads raw frames sees in the receiving pod (meshnet-cni#63)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.lab.scenarios.loading import load
from tests.lab.scenarios.nodes import DRIVERS, bring_up
from tests.lab.scenarios.watching import capturing
from tests.lab.scenarios.wiring import Cable, network, write

if TYPE_CHECKING:
    from pathlib import Path

    from tests.lab.scenarios.lab import Lab

HONEST = Cable(1, "r1:eth1", "r2:eth1", both={"mtu": 1500})
JUMBO = Cable(2, "r1:eth2", "r2:eth2", both={"mtu": 9000})
OFFLOAD = Cable(3, "r1:eth3", "r2:eth3", both={"options": {"offload": True}})


@pytest.mark.parametrize(("cable", "mtu"), [(HONEST, 1500), (JUMBO, 9000)], ids=["1500", "9000"])
def test_frames_have_valid_checksums_and_are_not_longer_than_the_mtu(
    lab: Lab, tmp_path: Path, cable: Cable, mtu: int
) -> None:
    lab.up(write(tmp_path / "lab.yml", network([cable])))
    with capturing(lab, "r2", cable.b.partition(":")[2]) as seen:
        assert load(lab, cable, tmp_path) == 8 << 20
    assert seen.told["tcp"] > 500
    assert (seen.told["longest"], seen.told["wrong"]) == (mtu, 0)


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("mtu", [1450, 9000])
def test_between_nodes_too(lab: Lab, tmp_path: Path, driver: str, mtu: int) -> None:
    cable = Cable(1, "r1:eth1", "r2:eth1", both={"mtu": mtu})
    underlay = ("--underlay-mtu", 9100)
    bring_up(lab, tmp_path, [cable], {"r1": "n1", "r2": "n2"}, driver, *underlay)
    with capturing(lab, "r2", "eth1") as seen:
        assert load(lab, cable, tmp_path) == 8 << 20
    assert seen.told["tcp"] > 500
    assert (seen.told["longest"], seen.told["wrong"]) == (mtu, 0)


def test_offload_is_what_it_says(lab: Lab, tmp_path: Path) -> None:
    """The same load in whole super-frames: proof that the other test would see them."""
    lab.up(write(tmp_path / "lab.yml", network([OFFLOAD])))
    with capturing(lab, "r2", "eth3") as seen:
        assert load(lab, OFFLOAD, tmp_path) == 8 << 20
    assert seen.told["longest"] > 1500
    assert seen.told["wrong"] > 0
    methods = ("bpf", "mirred") if os.geteuid() == 0 else ("mirred", "bpf")  # the kernel keeps bpf(2) to root
    assert all(methods[0] in lab.filters(port) for port in ports_of(lab))
    assert not any(methods[1] in lab.filters(port) for port in ports_of(lab))


def ports_of(lab: Lab) -> list[str]:
    return [end["port"] for end in lab.end("r1:eth3")["endpoints"]]
