"""What several drivers tell of, since all find it by its mark, is no leftover while an end is patched to it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ClassVar

import pytest

from meshnet.driver import Device, Interface, LinkDriver, LinkError, Owned, Port, Scope
from meshnet.driver.registry import Registry
from meshnet.model.topology import Endpoint
from meshnet.netlink import Redirect
from meshnet.reconcile.leftovers import Leftovers, remember
from meshnet.reconcile.table import Table
from tests.reconcile.fakes import idle_workers
from tests.reconcile.made import end, enter, sandbox

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshnet.driver import LinkEnd, Peer
    from meshnet.driver.api import Splice
    from meshnet.reconcile.end import End

R1 = Endpoint("default", "r1", "eth1")
GONE = Endpoint("default", "gone", "eth1")


class Finder(LinkDriver):
    """Tells of all of its kind that is marked; notes what it is to discard."""

    api = 1
    name = "finder"
    scopes = Scope.SAME_NODE
    found: ClassVar[list[Owned]] = []
    discarded: ClassVar[list[Owned]] = []

    async def patch(self, link: LinkEnd, peer: Peer | None) -> Device:
        return Device(1)

    async def inspect(self) -> Sequence[Owned]:
        return list(self.found)

    async def discard(self, owned: Owned) -> None:
        self.discarded.append(owned)


class Stranger(Finder):
    """Another driver of the same kind."""

    name = "stranger"


def sort_out(
    made: End, *found: Owned, drivers: Sequence[type[LinkDriver]] = (Finder, Stranger), early: bool = False
) -> list[Owned]:
    """Sort out what the drivers tell of, on a node that has this end and one of r2; return what was discarded."""

    table, other = Table(), sandbox("r2")
    end(other, "eth1", "r1:eth1", ifindex=1 << 20 | 1)
    enter(table, made.sandbox, other)
    Finder.found[:], Finder.discarded[:] = found, []
    asyncio.run(Leftovers(Registry.of(*drivers), table, idle_workers()).sort_out(early=early))
    return list(Finder.discarded)


def patched(splice: Splice, by: str, *, adopted: bool = False) -> End:
    made = end(sandbox(), "eth1", "r2:eth1", ifindex=0 if isinstance(splice, Interface) else 1 << 20)
    made.splice, made.patched_by = splice, by
    made.interface = splice.ifindex if isinstance(splice, Interface) else 0
    made.adopted = adopted
    return made


@pytest.mark.parametrize("splice", [Device(7), Interface(7), Port(R1, 7, "p7")])
@pytest.mark.parametrize("by", ["finder", "stranger", "third"])
@pytest.mark.parametrize("endpoint", [R1, Endpoint("default", "r1", "eth9"), None])
def test_what_an_end_is_patched_to_stays_whoever_tells_of_it(
    splice: Splice, by: str, endpoint: Endpoint | None
) -> None:
    assert sort_out(patched(splice, by), Owned(endpoint, splice, "m7")) == []


def test_what_a_ports_filter_leads_to_stays() -> None:
    made = patched(Device(7), "third")
    made.splice = None
    assert made.port is not None
    made.port.redirect = Redirect("mirred", 7)

    assert sort_out(made, Owned(GONE, Device(7), "m7")) == []


@pytest.mark.parametrize(
    "owned",
    [
        Owned(R1, Device(8), "m8"),
        Owned(GONE, Device(8), "m8"),
        Owned(None, Device(8), "m8"),
    ],
)
def test_what_no_end_is_patched_to_goes(owned: Owned) -> None:
    assert sort_out(patched(Device(7), "third"), owned, drivers=[Finder]) == [owned]


def test_what_the_driver_that_patched_the_end_tells_of_too_stays() -> None:
    """More belongs to a patch than what the port is spliced to."""
    more = Owned(R1, Device(8), "the far end of m7")

    assert sort_out(patched(Device(7), "finder"), more) == []
    assert sort_out(patched(Device(7), "stranger"), more) == []
    assert sort_out(patched(Device(7), "third"), more) == [more, more]


def test_what_it_has_made_since_it_was_asked_stays() -> None:
    class Late(Stranger):
        name = "late"
        asked: ClassVar[int] = 0

        async def inspect(self) -> Sequence[Owned]:
            Late.asked += 1
            return list(self.found) if Late.asked > 1 else []

    more = Owned(R1, Device(8), "the far end of m7")

    assert sort_out(patched(Device(7), "late"), more, drivers=[Late, Finder]) == []
    assert Late.asked == 2


def test_what_the_driver_that_patched_the_end_cannot_tell_of_stays_and_it_is_asked_once_more_only() -> None:
    class Failing(Stranger):
        name = "failing"
        asked: ClassVar[int] = 0

        async def inspect(self) -> Sequence[Owned]:
            Failing.asked += 1
            raise LinkError("NoLuck", "not today")

    found = [Owned(R1, Device(number), f"m{number}") for number in range(8, 28)]

    assert sort_out(patched(Device(7), "failing"), *found, drivers=[Failing, Finder]) == []
    assert Failing.asked == 2


@pytest.mark.parametrize("early", [True, False])
def test_an_interface_that_no_checkpoint_lists_stays_until_topologies_are_known(early: bool) -> None:
    """The disk was full when it was made: it may be declared."""
    owned = Owned(Endpoint("default", "r1", "net1"), Interface(8), "m8")

    assert sort_out(patched(Device(7), "third"), owned, drivers=[Finder], early=early) == ([] if early else [owned])


def test_an_interface_of_that_number_in_another_pod_is_another() -> None:
    made = patched(Interface(7), "third")
    owned = Owned(Endpoint("default", "r2", "eth1"), Interface(7), "m7")

    assert sort_out(made, owned, drivers=[Finder]) == [owned]


def test_of_what_two_tell_of_neither_is_said_to_have_patched_it() -> None:
    """It would be told to unpatch, which takes the other's device away, as soon as the other has patched."""
    made = patched(Device(7), "", adopted=True)

    assert sort_out(made, Owned(R1, Device(7), "m7")) == []
    assert (made.patched, made.patched_by) == (None, "")


def test_of_what_one_tells_of_it_is() -> None:
    made = patched(Device(7), "", adopted=True)

    assert sort_out(made, Owned(R1, Device(7), "m7"), drivers=[Stranger]) == []
    assert made.patched_by == "stranger"


def test_the_checkpoint_says_whose_an_interface_is() -> None:
    made = patched(Interface(7), "", adopted=True)
    remember(made, "third")

    assert sort_out(made, Owned(R1, Interface(7), "m7")) == []
    assert made.patched_by == "third"
