"""A status of very many links, or of links that say very much, which must have room in its object."""

from __future__ import annotations

import pytest

from meshnet.model.codec import decode_claim
from meshnet.model.objectsize import MAX_OBJECT_BYTES, bytes_kept
from meshnet.model.resource import Kind
from meshnet.reconcile.fitting import same_text
from tests.reconcile.desk import Desk
from tests.reconcile.made import NotingStore, end, enter, link, sandbox, topology
from tests.virtual_time import run

LEAST = {"local_intf", "uid", "state", "reason", "receive_id"}


class Full(Desk):
    """A node with the pod r1, whose links fail, each with the same message."""

    def __init__(self, links: int, message: str, store=None) -> None:
        super().__init__(store or NotingStore(), "n1")
        self.r1 = sandbox("r1", epoch=0)
        self.interfaces = [f"eth{number}" for number in range(1, links + 1)]
        for interface in self.interfaces:
            end(self.r1, interface, f"r2:{interface}").fail("KernelRefused", message)

    async def claim(self) -> None:
        links = (link(number, name, f"r2:{name}") for number, name in enumerate(self.interfaces))
        await self.store.apply(topology("r1", *links))
        enter(self.table, self.r1)
        assert await self.publisher.claim(self.r1)
        await self.publisher.flush()  # and its events are told

    async def document(self):
        return (await self.store.get(Kind.TOPOLOGY, "default", "r1")).document

    async def ready(self):
        return (await self.status())["conditions"][0]


@pytest.mark.parametrize(
    ("links", "message", "kept"),
    [
        (100, "x" * 1000, "x" * 1000),
        (1500, "x" * 1000, f"{'x' * 199}…"),
        (1500, "<" * 200, f"{'<' * 59}…"),  # each takes six bytes
        (3000, "x" * 200, f"{'x' * 59}…"),
        (4096, "x" * 1000, None),
        (4096, "", None),
    ],
)
def test_whatever_links_say_the_status_of_all_is_kept(links, message, kept):
    async def main() -> None:
        full = Full(links, message)
        await full.claim()

        document = await full.document()
        assert bytes_kept(document) <= MAX_OBJECT_BYTES
        rows = document["status"]["links"]
        assert [row["local_intf"] for row in rows] == full.interfaces
        assert {(row["state"], row["reason"], row.get("message")) for row in rows} == {
            ("Failed", "KernelRefused", kept)
        }
        assert len(decode_claim(document["status"]).receive_ids) == links
        assert all(row.keys() >= LEAST for row in rows)

    run(main())


@pytest.mark.parametrize(
    ("links", "told"),
    [(100, ""), (1500, "what links say beyond 200 characters, is left out"), (4096, "but reasons, is left out")],
)
def test_what_is_left_out_is_told_by_ready(links, told):
    async def main() -> None:
        full = Full(links, "x" * 1000)
        await full.claim()

        ready = await full.ready()
        assert ready["reason"] == "KernelRefused"
        assert ("left out of status" in ready["message"]) == bool(told)
        assert told in ready["message"]

    run(main())


def test_what_was_told_cut_is_news_once_and_whole():
    async def main() -> None:
        full = Full(1500, "x" * 1000)
        await full.claim()
        writes, events = len(full.store.writes), await full.store.events()
        assert {event.message.partition(": ")[2] for event in events} == {"x" * 1000}

        full.r1.ends["eth1"].fail("KernelRefused", "y")
        full.publisher.changed(full.r1)
        await full.publisher.flush()

        assert len(full.store.writes) == writes + 1
        assert [event.message for event in await full.store.events() if event not in events] == ["link 1 (eth1): y"]

    run(main())


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("", "", True),
        ("", "refused", False),
        ("…", "refused", True),
        ("ref…", "refused", True),
        ("refused", "ref…", True),
        ("ref…", "taken", False),
        ("ref", "refused", False),
    ],
)
def test_texts_are_the_same_as_far_as_they_tell(one, other, same):
    assert same_text(one, other) is same
