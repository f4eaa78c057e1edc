"""Which streams of other nodes are let in: those of a link that is patched to that node, by that driver."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import attrs
import pytest

from meshnet.daemon.between import Between
from meshnet.daemon.settings import Settings
from meshnet.errors import LinkError
from meshnet.model.resource import Kind
from meshnet.model.topology import Endpoint
from meshnet.peers.book import NOT_YET
from tests.reconcile.made import link
from tests.reconcile.test_far import HERE, THERE, in_room


def admit(room: Any, node: str = "n2", driver: str = "tunnel", local: Any = HERE, peer: Any = THERE) -> str:
    settings = Settings.read({"NODE_NAME": "n1"})
    core = cast("Any", SimpleNamespace(table=room.table))
    return Between(settings, core, lambda: None).admit(node, driver, local, peer)


def test_the_peers_node_may_open_one_for_the_link():
    async def main(room: Any) -> None:
        assert admit(room) == ""

    in_room(main)


def test_everybody_else_is_refused():
    async def main(room: Any) -> None:
        elsewhere = Endpoint("default", "r9", "eth1")
        assert "runs on node n2, not on n3" in admit(room, node="n3")
        assert "not patched by driver wire" in admit(room, driver="wire")
        assert "no link" in admit(room, local=elsewhere)
        assert "no link" in admit(room, peer=elsewhere)
        assert "no link" in admit(room, local=THERE, peer=HERE)

    in_room(main)


def test_who_is_early_comes_again():
    """The peer's node has read the same Topologies a moment sooner."""

    async def main(room: Any) -> None:
        room.end.plan = attrs.evolve(room.end.plan, driver=room.driver("wire"))
        assert admit(room, driver="wire").startswith(NOT_YET)

        await room.settle()
        room.parts.records["n3"] = attrs.evolve(room.parts.records["n2"], name="n3")
        room.end.plan = attrs.evolve(room.end.plan, node="n3", epoch=6)
        assert admit(room, node="n3").startswith(NOT_YET)
        await room.claim(node="n3", epoch=6, container_id="c3")
        await room.settle()
        assert admit(room, node="n3") == ""
        assert "runs on node n3" in admit(room)

    in_room(main)


def test_who_comes_while_the_ends_do_not_agree_comes_again():
    """An edit of both ends reaches the nodes in two steps."""

    async def main(room: Any) -> None:
        await room.store.patch(
            Kind.TOPOLOGY, "default", "r1", {"spec": {"links": [link(1, "eth1", "r2:eth1", mtu=1400)]}}
        )
        await room.store.patch(
            Kind.TOPOLOGY, "default", "r2", {"spec": {"links": [link(1, "eth1", "r1:eth1", mtu=1300)]}}
        )
        await room.claim()
        await room.settle()
        assert room.state[1] == "PeerMismatch"
        assert admit(room).startswith(NOT_YET)

    in_room(main)


def test_a_link_that_is_no_more_is_refused():
    async def main(room: Any) -> None:
        other = [link(1, "eth1", "r9:eth1")]
        await room.store.patch(Kind.TOPOLOGY, "default", "r1", {"spec": {"links": other}})
        await room.claim()
        await room.settle()
        refused = admit(room)
        assert refused
        assert not refused.startswith(NOT_YET)

    in_room(main)


def test_all_that_a_stream_waits_for_has_one_time(monkeypatch):
    """What a driver's stream waited for its peer's patch, it does not wait for the peer's node."""
    monkeypatch.setattr("meshnet.daemon.between.STREAM_LIMIT_S", 1.0)
    left = []

    async def patched(end, driver, *, limit_s):
        await asyncio.sleep(0.6)

    async def open_stream(driver, local, peer, node, *, limit_s):
        left.append(limit_s)

    async def main(room: Any) -> None:
        core = cast("Any", SimpleNamespace(table=room.table, remotes=SimpleNamespace(patched=patched)))
        between = Between(Settings.read({"NODE_NAME": "n1"}), core, lambda: None)
        between._peers = cast("Any", SimpleNamespace(open_stream=open_stream))
        await between.opener("tunnel")(cast("Any", SimpleNamespace(local=HERE, peer=THERE)), "n2")

    in_room(main)
    assert left == [pytest.approx(0.2, abs=0.2)]


@pytest.mark.parametrize("ending", [SystemExit(3), KeyboardInterrupt()])
def test_a_driver_that_would_end_the_process_ends_its_stream_alone(ending):
    class Wire:
        name = "wire"

        async def accept_stream(self, *_: Any) -> None:
            raise ending

    catalog = SimpleNamespace(find=lambda _: Wire())
    core = cast("Any", SimpleNamespace(place=SimpleNamespace(catalog=catalog)))

    async def main() -> None:
        between = Between(Settings.read({"NODE_NAME": "n1"}), core, lambda: None)
        with pytest.raises(LinkError, match=f"driver wire: {type(ending).__name__}"):
            await asyncio.create_task(between.serve("wire", HERE, THERE, cast("Any", None)))

    asyncio.run(main())
