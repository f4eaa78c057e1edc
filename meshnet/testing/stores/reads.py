"""Lists, events, and the end of a store."""

from __future__ import annotations

import pytest

from meshnet.errors import StoreUnavailable
from meshnet.model.resource import Kind
from meshnet.stores.base import Event, Store
from meshnet.testing.stores.handles import Suite, node, topology, two_handles


class ReadTests(Suite):
    """list, events, close."""

    @two_handles
    async def test_a_list_is_ordered_and_of_one_kind(self, one: Store, other: Store) -> None:
        for document in (topology("b", "y"), topology("a", "y"), topology("c", "x"), topology("a-1", "y"), node("a")):
            await one.apply(document)
        keys = [item.key for item in (await other.list(Kind.TOPOLOGY)).items]
        assert keys == [("x", "c"), ("y", "a"), ("y", "a-1"), ("y", "b")]
        assert [item.name for item in (await other.list(Kind.TOPOLOGY, "x")).items] == ["c"]
        assert (await other.list(Kind.TOPOLOGY, "z")).items == []
        assert [item.key for item in (await other.list(Kind.NODE)).items] == [("", "a")]

    @two_handles
    async def test_events_are_folded_and_the_latest_is_last(self, one: Store, other: Store) -> None:
        first = Event("Topology default/r1", "Warning", "PeerMissing", "r2 is missing", "meshnetd n1", time=1.0)
        second = Event("Topology default/r2", "Normal", "Up", "all links are up", "meshnetd n1")
        for store, event in ((one, first), (other, second), (other, first)):
            await store.record(event)
        later, again = await one.events()
        assert (later.about, later.count) == ("Topology default/r2", 1)
        assert later.time > 1.0
        assert (again.about, again.count, again.time) == ("Topology default/r1", 2, 1.0)
        await one.record(Event("Topology x/r1", "Normal", "Up", "all links are up", "meshnetd n1"))
        await one.record(Event("MeshNode n1", "Normal", "Up", "it is there", "meshnetd n1"))
        told = {event.about for event in await other.events("default")}
        assert told == {"Topology default/r1", "Topology default/r2", "MeshNode n1"}
        assert [event.about for event in await other.events("x")] == ["Topology x/r1"]
        assert await other.events("y") == []

    @two_handles
    async def test_an_event_tells_of_what_is_no_text(self, one: Store, other: Store) -> None:
        event = Event("Topology default/r1", "Warning", "InvalidOptions", "options.\ud800: is no option", "meshnetd n1")
        await one.record(event)
        assert [told.message for told in await other.events()] == ["options.\\ud800: is no option"]

    @two_handles
    async def test_a_closed_store_cannot_be_asked(self, one: Store, other: Store) -> None:
        await one.apply(topology())
        await one.close()
        await one.close()
        for ask in (one.get(Kind.TOPOLOGY, "default", "r1"), one.list(Kind.TOPOLOGY), one.apply(topology())):
            with pytest.raises(StoreUnavailable, match="closed"):
                await ask
        await other.close()
