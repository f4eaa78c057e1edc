"""Conformance: declaration, start and stop, patch and unpatch, and what is left in the kernel after each."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

import pytest

from meshnet.driver import Counts, Device, Interface, LinkError, Port, Scope, SetsCarrier, Socket
from meshnet.driver.calls import FAILED
from meshnet.driver.declaration import declaration_problems
from meshnet.driver.options import decode_options, option_names
from meshnet.errors import InvalidObject
from meshnet.testing import snapshot
from meshnet.testing.driver_base import DriverTestBase
from meshnet.testing.holdings import devices, reported
from meshnet.testing.strangers import make_marked, make_strangers

if TYPE_CHECKING:
    from meshnet.testing.driver_base import AnyBench


class LifecycleTests(DriverTestBase):
    """See `meshnet.testing.drivers.DriverTests`."""

    def test_the_declaration_is_valid(self) -> None:
        assert declaration_problems(self.driver_class) == []
        assert self.driver_class().name == self.driver_class.name

    def test_options_have_defaults_and_unknown_ones_are_refused(self) -> None:
        decode_options(self.driver_class, self.options, "spec.links[0].options")
        unknown = "no-" + "-".join(option_names(self.driver_class))
        with pytest.raises(InvalidObject, match=re.escape(f"spec.links[0].options.{unknown}")):
            decode_options(self.driver_class, {**self.options, unknown: 1}, "spec.links[0].options")

    @pytest.mark.kernel
    def test_start_and_stop_leave_nothing(self, bench: AnyBench) -> None:
        """Within the time limit, again and again, and without anything in the kernel or the process."""
        network, process = bench.network(), snapshot.process()

        for _ in range(3):
            bench.restart()

        held = snapshot.process()
        assert bench.network() == network
        assert len(held) <= len(process), held - process

    @pytest.mark.kernel
    def test_offers_are_json(self, bench: AnyBench) -> None:
        """What a driver offers travels in JSON."""
        for end in bench.cable().ends:
            assert isinstance(end.bench.call("offer", end.endpoint), Mapping)
            assert isinstance(end.bench.call("node_offer"), Mapping)

    @pytest.mark.kernel
    def test_patch_returns_a_splice_that_is_there(self, bench: AnyBench) -> None:
        cable = bench.cable()

        for end, splice in zip(cable.ends, cable.patch(), strict=True):
            if isinstance(splice, Interface):
                found = end.pod.link(end.endpoint.interface)
                assert found is not None, f"pod {end.pod.name} has no {end.endpoint.interface}"
                assert splice == Interface(found.ifindex)
            elif isinstance(splice, Port | Device):
                assert splice.ifindex in {link.ifindex for link in end.bench.node.links()}
            else:
                assert isinstance(splice, Socket)

    @pytest.mark.kernel
    def test_patch_again_changes_nothing(self, bench: AnyBench) -> None:
        cable = bench.cable()
        splices = cable.patch()
        network = bench.network()

        again = cable.patch()

        assert again == splices
        assert bench.network() == network

    @pytest.mark.kernel
    def test_a_restarted_driver_adopts_what_is_there(self, bench: AnyBench) -> None:
        """The daemon restarts: the same splices, the same devices, not one more."""
        cable = bench.cable()
        splices = cable.patch()
        network = bench.network()

        bench.restart()
        again = cable.patch()

        assert again == splices
        assert bench.network() == network

    @pytest.mark.kernel
    def test_unpatch_twice_is_success(self, bench: AnyBench) -> None:
        """Nothing there is success, also when there never was anything."""
        cable = bench.cable()
        cable.unpatch()
        cable.patch()
        cable.unpatch()
        network = bench.network()

        cable.unpatch()

        assert bench.network() == network

    @pytest.mark.kernel
    @pytest.mark.parametrize("restart", [False, True], ids=["same driver", "restarted driver"])
    def test_unpatch_removes_all_it_made(self, bench: AnyBench, restart: bool) -> None:
        cable, earlier = bench.cable(), bench.cable("r1:eth2", "r3:eth1", uid=2)
        earlier.patch()
        earlier.unpatch()  # what a driver makes once, for all links, it may keep
        network, process = bench.network(), snapshot.process()

        cable.patch()
        if restart:
            bench.restart()
        cable.unpatch()

        assert bench.network() == network
        held = snapshot.process()
        # Counted: what a driver shares among its links it may open anew when it starts.
        assert len(held) <= len(process), held - process

    @pytest.mark.kernel
    def test_unpatch_leaves_foreign_devices_alone(self, bench: AnyBench) -> None:
        """Others' devices that look like the driver's own, and those of its other links."""
        cable, other = bench.cable(), bench.cable("r1:eth2", "r3:eth1", uid=2)
        other.patch()
        before = bench.network()
        cable.patch()
        made = bench.network() - before
        strangers = frozenset().union(*(make_strangers(each, made) for each in bench.benches))

        cable.unpatch()

        assert (before | strangers) - bench.network() == frozenset()

    @pytest.mark.kernel
    def test_what_others_have_marked_is_left_alone(self, bench: AnyBench) -> None:
        """Devices of another driver, of the kinds that this one makes and with the mark of another endpoint."""
        cable = bench.cable()
        before = devices(bench)
        cable.patch()
        made = devices(bench) - before
        strangers = frozenset().union(*(make_marked(each, made) for each in bench.benches))
        self._only_if(bool(strangers), "devices of a kind that the kit can make")

        cable.patch()
        bench.restart()
        cable.patch()
        cable.unpatch()

        assert strangers - bench.network() == frozenset()

    @pytest.mark.kernel
    def test_a_failed_patch_leaves_nothing(self, bench: AnyBench) -> None:
        """A link that cannot be made: a reason, and nothing made, nothing of others touched."""
        cable = bench.cable()
        end = cable.ends[0]
        if self._direct:
            end.pod.make_stranger(end.endpoint.interface)
        elif bench.scope is not Scope.SAME_NODE:
            end.lose_port()
        else:
            cable.peer_gone = True
        network = bench.network()

        with pytest.raises(LinkError) as error:
            end.bench.call("patch", cable.link_end(end), cable.peer_of(end))

        # What it says itself, and not core for it.
        assert not (error.value.reason == FAILED and isinstance(error.value.__cause__, LinkError)), str(error.value)
        assert bench.network() == network

    @pytest.mark.kernel
    def test_inspect_reports_exactly_what_is_there(self, bench: AnyBench) -> None:
        first, second = bench.cable(), bench.cable("r1:eth2", "r3:eth1", uid=2)
        before = devices(bench)
        assert reported(bench) == set()

        first.patch()
        second.patch()
        assert reported(bench) == devices(bench) - before

        bench.restart()
        assert reported(bench) == devices(bench) - before

        first.unpatch()
        assert reported(bench) == devices(bench) - before

    @pytest.mark.kernel
    def test_what_is_inspected_can_be_discarded(self, bench: AnyBench) -> None:
        """What a killed daemon forgot goes by what inspect tells of it, and nothing else does."""
        cable, other = bench.cable(), bench.cable("r1:eth2", "r3:eth1", uid=2)
        other.patch()
        before, needed = devices(bench), [each.inspect() for each in bench.benches]
        cable.patch()
        leftovers = [
            (each, owned)
            for each, known in zip(bench.benches, needed, strict=True)
            for owned in each.inspect()
            if owned not in known
        ]

        bench.restart()
        for each, owned in [*leftovers, *leftovers]:
            each.call("discard", owned)

        assert devices(bench) == before

    @pytest.mark.kernel
    def test_counters_can_be_read(self, bench: AnyBench) -> None:
        """While an end is patched, by a new instance, too: whole numbers by name."""
        self._only_if(issubclass(self.driver_class, Counts), "counters")
        cable = bench.cable()
        cable.patch()
        for restart in (False, True):
            if restart:
                bench.restart()
            for end in cable.ends:
                assert isinstance(end.bench.call("counters", end.endpoint), Mapping)

    @pytest.mark.kernel
    def test_carrier_can_be_taken_and_given(self, bench: AnyBench) -> None:
        self._only_if(issubclass(self.driver_class, SetsCarrier), "set_carrier")
        cable = bench.cable()
        cable.patch()
        cable.settle()
        (end, *_) = cable.ends

        end.bench.call("set_carrier", end.link, False)
        assert not cable.near.carrier

        end.bench.call("set_carrier", end.link, True)
        cable.near.settle()
        assert cable.near.carrier
