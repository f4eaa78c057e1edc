"""How long frames may be when the pod cannot be told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from meshnet.driver import Device, RestartPod, Socket
from meshnet.driver.link import GSO_LEGACY_MAX_SIZE
from meshnet.model.topology import Endpoint
from meshnet.panel.port import PanelPort
from meshnet.reconcile.segment import Segmenter

if TYPE_CHECKING:
    from meshnet.driver import Splice

LONG = 200_000
ENDPOINT = Endpoint("default", "r1", "eth1")


class Splicer:
    def set_gso_ipv4_max_size(self, port: PanelPort, size: int) -> None:
        port.gso_ipv4_max_size = size


class Closed:
    """An end in a pod that cannot be entered."""

    endpoint = ENDPOINT
    nsid = 1

    def __init__(self) -> None:
        self.sandbox = self
        self.asked = 0

    def enter(self) -> Any:
        self.asked += 1
        raise RestartPod("not any more")


def fitted(size: int, splice: Splice, *, offload: bool = True) -> tuple[int, int]:
    """Return the size of a port that had `size`, and how often its pod was to be entered for it."""
    end, port = Closed(), PanelPort(ENDPOINT, 1, "sandbox", "mn1", 1 << 20, gso_ipv4_max_size=size)
    segmenter = Segmenter(cast("Any", None), cast("Any", Splicer()))
    segmenter.fit(cast("Any", end), port, splice, offload=offload)
    return port.gso_ipv4_max_size, end.asked


@pytest.mark.parametrize("splice", [Socket(), Device(7), Socket(GSO_LEGACY_MAX_SIZE)])
def test_what_is_so_already_asks_nothing(splice: Splice) -> None:
    assert fitted(GSO_LEGACY_MAX_SIZE, splice) == (GSO_LEGACY_MAX_SIZE, 0)


def test_without_offload_frames_are_usual_ones() -> None:
    assert fitted(GSO_LEGACY_MAX_SIZE, Socket(LONG), offload=False) == (GSO_LEGACY_MAX_SIZE, 0)


def test_a_port_takes_longer_ones_though_its_own_pod_sends_none() -> None:
    assert fitted(GSO_LEGACY_MAX_SIZE, Socket(LONG)) == (LONG, 1)


def test_a_driver_that_takes_no_such_frames_is_not_given_them() -> None:
    with pytest.raises(RestartPod):
        fitted(LONG, Socket())


def test_what_the_kernel_carries_it_cuts_itself() -> None:
    assert fitted(LONG, Device(7)) == (LONG, 1)
