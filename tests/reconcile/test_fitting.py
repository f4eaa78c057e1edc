"""A status of very many links, or of links that say very much, which must have room in its object."""

from __future__ import annotations

import pytest

from meshnet.errors import InvalidObject
from meshnet.model.codec import decode_claim, decode_topology
from meshnet.model.objectsize import KEPT_FREE_BYTES, MAX_OBJECT_BYTES, bytes_kept
from meshnet.model.resource import Kind, Resource
from meshnet.reconcile.fitting import fitting, same_text
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


@pytest.mark.parametrize("name", ["ethernet-{:06}", "<<<<{:04}"])
def test_the_largest_topology_that_is_valid_has_room_for_what_must_be_told(name):
    names = [name.format(number) for number in range(4096)]
    document = topology("r1", *(link(2**63 - 1, local, f"r2:{local}") for local in names))
    size = bytes_kept({**document, "spare": "", "status": {}})
    document["spare"] = "x" * (MAX_OBJECT_BYTES - KEPT_FREE_BYTES - 160 * 4096 - bytes_kept(names) - size)
    decode_topology(document)
    with pytest.raises(InvalidObject):
        decode_topology({**document, "spare": document["spare"] + "x"})
    said = {"state": "Pending", "reason": "R" * 63, "message": "<" * 1000, "driver": "d" * 63, "why": "<" * 1000}
    there = {"peer_pod": "r2", "peer_node": "n" * 253, "receive_id": 2**24 - 1}
    entries = [{"local_intf": local, "uid": 2**63 - 1, **said, **there, "peer_intf": local} for local in names]
    once = dict.fromkeys(("src_ip", "net_ns", "container_id", "node", "pod_uid"), "x" * 253)
    ready = {"type": "Ready", "status": "False", "reason": "R" * 63, "message": "<" * 8000}

    status = fitting({**once, "links": entries, "conditions": [ready]}, Resource(Kind.TOPOLOGY, document))

    assert bytes_kept({**document, "status": status}) <= MAX_OBJECT_BYTES - 4096


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
