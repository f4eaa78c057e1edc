"""Conformance: what passes from end to end, unchanged, and to nobody else."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from meshnet.driver import Scope, Socket
from meshnet.testing.driver_base import DriverTestBase
from meshnet.testing.frames import CORPUS, Frame, FrameSocket, judge
from meshnet.testing.traffic import LOAD_BYTES, captured, dishonest, ping, tcp_load

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from meshnet.testing.bench import Bench
    from meshnet.testing.cable import Cable, Station

BROADCAST = "ff:ff:ff:ff:ff:ff"
EXPERIMENTAL = b"\x88\xb5"
SILENCE_S = 0.2
"""How long to listen before it counts that nothing came."""
FRAME_S = 0.3
"""How long a frame may take."""
OPENING_S = 1.5
"""How long after carrier the first frame may be lost."""
UNSENDABLE = {"QinQ full"}
"""Frames of the corpus that the sender's own kernel refuses."""


class TrafficTests(DriverTestBase):
    """See `meshnet.testing.drivers.DriverTests`."""

    @pytest.mark.kernel
    def test_frames_pass_both_ways(self, bench: Bench) -> None:
        """Every kind of frame, or those to and from the interfaces' own MACs: as the driver declares."""
        cable = _patched(bench)

        assert self._eaten(cable.near, cable.far) == {}
        assert self._eaten(cable.far, cable.near) == {}

    @pytest.mark.kernel
    def test_the_ends_can_ping_each_other(self, bench: Bench) -> None:
        cable = _patched(bench)

        for address in cable.far.addresses:
            assert ping(cable.near.namespace, address), f"no answer from {address}"
        for address in cable.near.addresses:
            assert ping(cable.far.namespace, address), f"no answer from {address}"

    @pytest.mark.kernel
    def test_a_receiver_sees_honest_frames(self, bench: Bench) -> None:
        """Under TCP load: valid checksums, and no frame longer than the MTU."""
        self._only_if(self.driver_class.honest, "honest frames")
        cable = _patched(bench)

        for sender, receiver in ((cable.near, cable.far), (cable.far, cable.near)):
            for address in receiver.addresses:
                with captured(receiver.namespace, receiver.interface) as frames:
                    arrived = tcp_load(sender.namespace, receiver.namespace, address)
                assert arrived == LOAD_BYTES
                assert frames, "nothing was captured"
                assert dishonest(frames, receiver.mtu) == []

    @pytest.mark.kernel
    def test_the_mtu_is_honoured(self, bench: Bench) -> None:
        """A frame of full size passes, at first and after the link's MTU was edited up and down."""
        cable = bench.cable(mtu=1500)

        for mtu in (1500, 9000, 1280):
            cable.mtu = mtu
            cable.patch()
            _settle(cable)
            assert cable.near.mtu == mtu
            _assert_both_ways(cable, mtu)

    @pytest.mark.kernel
    def test_names_may_be_as_long_as_the_kernel_allows(self, bench: Bench) -> None:
        cable = bench.cable("r" * 63 + ":interface-15by", "s" * 63 + ":interface-of15")

        cable.patch()
        _settle(cable)

        _assert_both_ways(cable)

    @pytest.mark.kernel
    def test_two_links_do_not_mix(self, bench: Bench) -> None:
        """A frame comes out at the other end of its own link and nowhere else."""
        first, second = bench.cable(), bench.cable("r1:eth2", "r3:eth1", uid=2)
        for cable in (first, second):
            cable.patch()
        for cable in (first, second):
            _settle(cable)

        for cable, other in ((first, second), (second, first)):
            # External links meet outside: there nothing can be told apart, at their pods it can.
            self._goes_only(cable.near, cable.far, other.near if cable.external else other.far)
            self._goes_only(cable.far, cable.near, other.near)

    @pytest.mark.kernel
    def test_a_pod_can_be_linked_to_itself(self, bench: Bench) -> None:
        self._only_if(bench.scope is Scope.SAME_NODE, "links within a node")
        cable = bench.cable("r1:eth1", "r1:eth2")
        cable.patch()
        _settle(cable)

        _assert_both_ways(cable)

    @pytest.mark.kernel
    def test_traffic_flows_on_after_a_restart(self, bench: Bench) -> None:
        """While the driver is away, unless it carries the frames itself, and when it is back and has patched anew."""
        cable = _patched(bench)
        by_hand = any(isinstance(end.splice, Socket) for end in cable.ends)

        bench.restart()
        if not by_hand:
            _assert_both_ways(cable)

        cable.patch()
        _settle(cable)
        _assert_both_ways(cable)

    def _goes_only(self, sender: Station, receiver: Station, bystander: Station) -> None:
        """Check that a frame is received, and not heard at another interface."""
        with FrameSocket(bystander.interface, bystander.namespace.fd) as listening:
            frame = _own_frame(sender, receiver)
            assert _lost(sender, receiver, [frame]) == {}
            if self._tested_scope() is Scope.SAME_NODE or not self._any_frame:
                assert frame.data not in _heard(listening), f"also heard at {bystander.interface}"

    def _eaten(self, sender: Station, receiver: Station) -> dict[str, str]:
        """Send what must pass; return by name what became of each that did not."""
        if not self._any_frame:
            return _lost(sender, receiver, _own_frames(sender, receiver))
        lost = _lost(sender, receiver, [_own_frame(sender, receiver)]) or _lost(sender, receiver, CORPUS)
        return {name: verdict for name, verdict in lost.items() if (name, verdict) not in _REFUSED}


_REFUSED = {(name, "unsendable") for name in UNSENDABLE}


def _settle(cable: Cable) -> None:
    """Wait until frames pass each way, or have had their time to.

    The queues of devices that were just made open a moment after carrier; on a busy machine that is a long moment.
    """
    cable.settle()
    for sender, receiver in ((cable.near, cable.far), (cable.far, cable.near)):
        deadline = time.monotonic() + OPENING_S
        while time.monotonic() < deadline and _lost(sender, receiver, [_own_frame(sender, receiver, 50)]):
            pass


def _patched(bench: Bench) -> Cable:
    cable = bench.cable()
    cable.patch()
    _settle(cable)
    return cable


def _lost(sender: Station, receiver: Station, frames: Iterable[Frame]) -> dict[str, str]:
    """Send frames; return by name what became of each that did not pass."""
    with (
        FrameSocket(sender.interface, sender.namespace.fd) as out,
        FrameSocket(receiver.interface, receiver.namespace.fd) as into,
    ):
        verdicts = judge(out, into, list(frames), timeout=FRAME_S)
    return {name: verdict for name, verdict in verdicts.items() if verdict != "passed"}


def _assert_both_ways(cable: Cable, payload: int = 100) -> None:
    """Check that a frame with so many bytes after its header passes each way."""
    assert _lost(cable.near, cable.far, [_own_frame(cable.near, cable.far, payload)]) == {}
    assert _lost(cable.far, cable.near, [_own_frame(cable.far, cable.near, payload)]) == {}


def _own_frames(sender: Station, receiver: Station) -> Iterator[Frame]:
    source = bytes.fromhex(sender.mac.replace(":", ""))
    for name, mac in (("unicast", receiver.mac), ("broadcast", BROADCAST)):
        head = bytes.fromhex(mac.replace(":", "")) + source + EXPERIMENTAL
        yield Frame(name, head + bytes(46))
        yield Frame(f"full {name}", head + bytes(range(250)) * 6)


def _own_frame(sender: Station, receiver: Station, payload: int = 100) -> Frame:
    """A frame from one interface's MAC to the other's, with so many bytes after its header."""
    addresses = receiver.mac.replace(":", "") + sender.mac.replace(":", "")
    return Frame(f"{payload} bytes", bytes.fromhex(addresses) + EXPERIMENTAL + b"o" * payload)


def _heard(listening: FrameSocket) -> list[bytes]:
    heard = []
    while (frame := listening.receive(SILENCE_S)) is not None:
        heard.append(frame)
    return heard
