"""Conformance: what passes from end to end, unchanged, and to nobody else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from meshnet.driver import Attachment, Scope, Socket
from meshnet.testing.driver_base import DriverTestBase
from meshnet.testing.frames import CORPUS
from meshnet.testing.passing import assert_both_ways, assert_goes_only, lost, own_frame, own_frames, settle
from meshnet.testing.traffic import LOAD_BYTES, captured, dishonest, ping, tcp_load

if TYPE_CHECKING:
    from meshnet.testing.cable import Cable
    from meshnet.testing.driver_base import AnyBench
    from meshnet.testing.ends import Station

OFFLOAD = "offload"
"""Core's option; with it nobody promises honest frames."""
ETHERNET, VLAN_TAG = 14, 4
"""Bytes of a frame's header, and of a tag in it, which the sender's kernel does not count; it counts a second tag."""


class TrafficTests(DriverTestBase):
    """See `meshnet.testing.drivers.DriverTests`."""

    @pytest.mark.kernel
    def test_frames_pass_both_ways(self, bench: AnyBench) -> None:
        """Every kind of frame, or those to and from the interfaces' own MACs: as the driver declares."""
        cable = _patched(bench)

        assert self._eaten(cable.near, cable.far) == {}
        assert self._eaten(cable.far, cable.near) == {}

    @pytest.mark.kernel
    def test_the_ends_can_ping_each_other(self, bench: AnyBench) -> None:
        cable = _patched(bench)

        for address in cable.far.addresses:
            assert ping(cable.near.namespace, address), f"no answer from {address}"
        for address in cable.near.addresses:
            assert ping(cable.far.namespace, address), f"no answer from {address}"

    @pytest.mark.kernel
    def test_a_receiver_sees_honest_frames(self, bench: AnyBench) -> None:
        """Under TCP load: valid checksums, and no frame longer than the MTU."""
        self._only_if(self.driver_class.honest and not self.options.get(OFFLOAD), "honest frames")
        assert_honest(_patched(bench))

    @pytest.mark.kernel
    def test_offload_can_be_put_on_and_taken_off(self, bench: AnyBench) -> None:
        """With it TCP passes all the same, however long frames are then; without it all is as before."""
        self._only_if(self.driver_class.attachment is Attachment.PORT, "a port")
        cable = _patched(bench)
        without = {**cable.options, OFFLOAD: False}

        cable.options = {**without, OFFLOAD: True}
        cable.patch()
        for sender, receiver in ((cable.near, cable.far), (cable.far, cable.near)):
            for address in receiver.addresses:
                assert tcp_load(sender.namespace, receiver.namespace, address) == LOAD_BYTES

        cable.options = without
        cable.patch()
        if self.driver_class.honest:
            assert_honest(cable)

    @pytest.mark.kernel
    def test_the_mtu_is_honoured(self, bench: AnyBench) -> None:
        """A frame of full size passes, at first and after the link's MTU was edited up and down."""
        cable = bench.cable(mtu=1500)

        for wanted in (1500, 9000, 1280):
            cable.mtu = mtu = min(wanted, bench.largest_mtu)
            cable.patch()
            settle(cable)
            assert cable.near.mtu == mtu
            assert_both_ways(cable, mtu)

    @pytest.mark.kernel
    def test_names_may_be_as_long_as_the_kernel_allows(self, bench: AnyBench) -> None:
        cable = bench.cable("r" * 63 + ":interface-15by", "s" * 63 + ":interface-of15")

        cable.patch()
        settle(cable)

        assert_both_ways(cable)

    @pytest.mark.kernel
    def test_two_links_do_not_mix(self, bench: AnyBench) -> None:
        """A frame comes out at the other end of its own link and nowhere else."""
        first, second = bench.cable(), bench.cable("r1:eth2", "r3:eth1", uid=2)
        for cable in (first, second):
            cable.patch()
        for cable in (first, second):
            settle(cable)

        for cable, other in ((first, second), (second, first)):
            if cable.external and self._any_frame:
                # They meet outside: nothing can be told apart.
                assert_both_ways(cable)
            else:
                assert_goes_only(cable.near, cable.far, other.near if cable.external else other.far)
                assert_goes_only(cable.far, cable.near, other.near)

    @pytest.mark.kernel
    def test_a_pod_can_be_linked_to_itself(self, bench: AnyBench) -> None:
        self._only_if(bench.scope is Scope.SAME_NODE, "links within a node")
        cable = bench.cable("r1:eth1", "r1:eth2")
        cable.patch()
        settle(cable)

        assert_both_ways(cable)

    @pytest.mark.kernel
    def test_traffic_flows_on_after_a_restart(self, bench: AnyBench) -> None:
        """While the driver is away, unless it carries the frames itself, and when it is back and has patched anew."""
        cable = _patched(bench)
        by_hand = any(isinstance(end.splice, Socket) for end in cable.ends)

        bench.restart()
        if not by_hand:
            assert_both_ways(cable)

        cable.patch()
        settle(cable)
        assert_both_ways(cable)

    def _eaten(self, sender: Station, receiver: Station) -> dict[str, str]:
        """Send what must pass; return by name what became of each that did not."""
        if not self._any_frame:
            return lost(sender, receiver, own_frames(sender, receiver))
        fitting = [frame for frame in CORPUS if len(frame.data) <= ETHERNET + sender.mtu + VLAN_TAG]
        return lost(sender, receiver, [own_frame(sender, receiver)]) or lost(sender, receiver, fitting)


def assert_honest(cable: Cable) -> None:
    """Load a link by TCP, both ways and both versions of IP, and look at each frame that is received."""
    for sender, receiver in ((cable.near, cable.far), (cable.far, cable.near)):
        for address in receiver.addresses:
            with captured(receiver.namespace, receiver.interface) as frames:
                arrived = tcp_load(sender.namespace, receiver.namespace, address)
            assert arrived == LOAD_BYTES
            assert frames, "nothing was captured"
            assert dishonest(frames, receiver.mtu) == []


def _patched(bench: AnyBench) -> Cable:
    cable = bench.cable()
    cable.patch()
    settle(cable)
    return cable
