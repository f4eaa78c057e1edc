"""How long frames may be, and what becomes of it when the pod or its port cannot be told."""

from __future__ import annotations

import contextlib
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from meshnet.driver import GSO_IPV4_LARGEST, GSO_LEGACY_MAX_SIZE, Device, Port, RestartPod, Socket
from meshnet.errors import KernelError
from meshnet.model.topology import Endpoint
from meshnet.panel.port import PanelPort
from meshnet.reconcile import segment
from meshnet.reconcile.segment import Segmenter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshnet.driver import Splice

USUAL, LONG = GSO_LEGACY_MAX_SIZE, 200_000
ENDPOINT = Endpoint("default", "r1", "eth1")
PEER = Port(ENDPOINT, 7, "mn7")


class Kernel:
    """A port and its pod's end, with the order in which they are told.

    Attributes:
        refuse: what the pod answers with, or the port.
    """

    def __init__(self, port: int, pod: int) -> None:
        self.port = PanelPort(ENDPOINT, 1, "sandbox", "mn1", 1 << 20, gso_ipv4_max_size=port)
        self.pod = pod
        self.told: list[str] = []
        self.refuse: dict[str, Exception] = {}
        self.netlink = self

    @property
    def sizes(self) -> tuple[int, int]:
        return self.port.gso_ipv4_max_size, self.pod

    def set_gso_ipv4_max_size(self, port: PanelPort, size: int) -> None:
        self._tell("port")
        port.gso_ipv4_max_size = size

    def run(self, requests: list[Any]) -> None:
        self._tell("pod")
        (self.pod,) = requests

    def _tell(self, whom: str) -> None:
        self.told.append(whom)
        if whom in self.refuse:
            raise self.refuse[whom]


@pytest.fixture
def fit(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that fits a kernel to a splice."""

    def fit(kernel: Kernel, splice: Splice, *, offload: bool = True, reenters: bool = True) -> None:
        @contextlib.contextmanager
        def entered(*_: object) -> Iterator[Kernel]:
            yield kernel

        monkeypatch.setattr(segment, "entered", entered)
        monkeypatch.setattr(segment, "read_link", lambda *_: SimpleNamespace(gso_ipv4_max_size=kernel.pod))
        monkeypatch.setattr(segment.links, "set_link", lambda _, gso_ipv4_max_size: gso_ipv4_max_size)
        end = cast("Any", SimpleNamespace(endpoint=ENDPOINT))
        Segmenter(cast("Any", None), cast("Any", kernel), reenters=reenters).fit(
            end, kernel.port, splice, offload=offload
        )

    return fit


@pytest.mark.parametrize(
    ("splice", "offload", "size"),
    [
        (Socket(LONG), True, LONG),
        (Socket(LONG), False, USUAL),
        (Socket(), True, USUAL),
        (PEER, True, GSO_IPV4_LARGEST),
        (PEER, False, USUAL),
        (Device(7), True, USUAL),
    ],
)
@pytest.mark.parametrize("before", [USUAL, 100_000, LONG, GSO_IPV4_LARGEST])
def test_frames_are_as_long_as_they_are_taken(fit: Any, splice: Splice, offload: bool, size: int, before: int) -> None:
    """The port never takes less than its pod makes."""
    kernel = Kernel(before, USUAL if before < size else before)

    fit(kernel, splice, offload=offload)
    told = list(kernel.told)
    fit(kernel, splice, offload=offload)

    assert kernel.sizes == (size, size)
    assert told == ([] if before == size else ["port", "pod"] if before < size else ["pod", "port"])
    assert kernel.told == told


@pytest.mark.parametrize("own", [16_000, 100_000])
def test_what_a_pod_has_chosen_itself_stays(fit: Any, own: int) -> None:
    kernel = Kernel(USUAL, own)

    fit(kernel, Socket(LONG))
    fit(kernel, PEER, offload=False)

    assert kernel.pod == min(USUAL, own)
    assert kernel.port.gso_ipv4_max_size == USUAL


@pytest.mark.parametrize("who", ["port", "pod"])
@pytest.mark.parametrize("error", [KernelError(1, "told to"), RestartPod("told to")])
def test_shorter_frames_than_could_be_are_no_error_and_are_tried_again(fit: Any, who: str, error: Exception) -> None:
    kernel = Kernel(USUAL, USUAL)
    kernel.refuse[who] = error

    fit(kernel, Socket(LONG))
    assert kernel.pod == USUAL

    kernel.refuse.clear()
    fit(kernel, Socket(LONG))
    assert kernel.sizes == (LONG, LONG)


def test_a_pod_that_cannot_be_entered_again_is_not_told_but_what_it_gets_passes(fit: Any) -> None:
    kernel = Kernel(USUAL, USUAL)

    fit(kernel, Socket(LONG), reenters=False)
    assert kernel.sizes == (LONG, USUAL)

    fit(kernel, Socket(), reenters=False)
    assert kernel.sizes == (USUAL, USUAL)
    assert "pod" not in kernel.told


def test_a_driver_is_not_given_what_it_does_not_take(fit: Any) -> None:
    kernel = Kernel(LONG, LONG)
    kernel.refuse["pod"] = RestartPod("told to")

    with pytest.raises(RestartPod):
        fit(kernel, Socket())
    assert kernel.sizes == (LONG, LONG)


@pytest.mark.parametrize("splice", [Device(7), PEER])
def test_what_the_kernel_carries_it_cuts_itself(fit: Any, splice: Splice) -> None:
    kernel = Kernel(LONG, LONG)
    kernel.refuse["pod"] = RestartPod("told to")

    fit(kernel, splice, offload=False)
    assert kernel.sizes == (LONG, LONG)

    kernel.refuse.clear()
    fit(kernel, splice, offload=False)
    assert kernel.sizes == (USUAL, USUAL)


def test_a_kernel_that_has_no_such_thing_is_told_nothing(fit: Any) -> None:
    kernel = Kernel(USUAL, 0)

    fit(kernel, PEER)

    assert kernel.told == []
