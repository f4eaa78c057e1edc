"""The table of a node, found by whatever one has in hand."""

from __future__ import annotations

import random

from meshnet.driver.api import Device, Port
from meshnet.model.topology import Claim, Endpoint
from meshnet.reconcile.table import Table
from tests.reconcile.made import end, sandbox


def test_an_end_is_found_by_everything_one_may_have():
    table, box = Table(), sandbox("r1", nsid=7)
    eth1 = end(box, "eth1", "r2:eth1", ifindex=11)
    table.add(box)

    assert table.end(eth1.endpoint) is eth1
    assert table.by_port(11) is eth1
    assert table.by_pod_end(7, 2) is eth1
    assert table.current(("default", "r1")) is box
    assert table.sandboxes == {box.key: box}
    assert table.end(None) is None


def test_a_newer_sandbox_takes_the_pod_over_and_outlives_the_old():
    table, old, new = Table(), sandbox("r1", "old"), sandbox("r1", "new")
    before, after = end(old, "eth1", "r2:eth1", ifindex=1), end(new, "eth1", "r2:eth1", ifindex=2)
    table.add(old)

    assert table.add(new) is old
    assert table.add(new) is None
    assert table.end(after.endpoint) is after
    assert table.by_port(1) is None
    assert old.key in table.sandboxes
    table.remove(old)
    assert table.end(before.endpoint) is after
    assert table.current(("default", "r1")) is new
    table.remove(new)
    assert is_empty(table)


def test_whose_claim_is_the_one_of_this_node():
    table, old, new = Table("n1"), sandbox("r1", "old", epoch=3), sandbox("r1", "new", epoch=4)
    table.add(old)
    table.add(new)

    assert table.has_claimed(("default", "r1"), Claim("n1", new.key.container_id, 4))
    for claim in (
        Claim("n1", old.key.container_id, 3),
        Claim("n2", new.key.container_id, 4),
        Claim("n1", new.key.container_id, 5),
        Claim(epoch=4),
    ):
        assert not table.has_claimed(("default", "r1"), claim)
    assert not table.has_claimed(("default", "r2"), Claim("n1", new.key.container_id, 4))


def test_who_leads_to_a_pod():
    table, box = Table(), sandbox("r1")
    one, two = end(box, "eth1", "r2:eth1", ifindex=1), end(box, "eth2", "r2:eth2", ifindex=2)
    table.add(box)
    for each in (one, two):
        table.head(each.endpoint, Endpoint("default", "r2", each.endpoint.interface))
    assert set(table.toward(("default", "r2"))) == {one.endpoint, two.endpoint}

    assert table.facing(Endpoint("default", "r2", "eth1")) == {one.endpoint}

    table.head(one.endpoint, Endpoint("default", "r3", "eth1"))
    assert set(table.toward(("default", "r2"))) == {two.endpoint}
    assert set(table.toward(("default", "r3"))) == {one.endpoint}
    assert not table.facing(Endpoint("default", "r2", "eth1"))

    table.remove(box)
    assert is_empty(table)


def test_a_port_that_moves_is_found_where_it_went():
    table, box = Table(), sandbox("r1", nsid=7)
    eth1 = end(box, "eth1", "r2:eth1", ifindex=11)
    table.add(box)

    table.detach(eth1)
    assert table.by_pod_end(7, 2) is None
    eth1.port.nsid, eth1.port.pod_ifindex = 9, 5
    table.enter(eth1)
    assert table.by_pod_end(9, 5) is eth1
    table.remove(box)
    assert is_empty(table)


def test_sandboxes_of_no_pod_never_meet():
    table = Table()
    one, other = sandbox("", "a"), sandbox("", "b")
    assert table.add(one) is None
    assert table.add(other) is None
    assert len(table.sandboxes) == 2
    table.remove(one)
    table.remove(other)
    assert is_empty(table)


def test_ends_are_found_by_the_device_that_they_are_spliced_to():
    table, box = Table(), sandbox("r1")
    one, other = (end(box, name, f"r2:{name}", ifindex=index) for index, name in enumerate(("eth1", "eth2"), 1))
    table.add(box)
    for each, splice in ((one, Device(7)), (other, Port(other.endpoint, 8, "mn8"))):
        each.splice = splice
        table.spliced(each.endpoint, splice)

    assert table.by_device(7) == [one.endpoint]
    assert table.by_device(8) == []
    one.splice = None  # unplugged since
    assert table.by_device(7) == []
    one.splice = Device(9)
    table.spliced(one.endpoint, one.splice)
    assert (table.by_device(7), table.by_device(9)) == ([], [one.endpoint])
    table.remove(box)
    assert is_empty(table)


def test_whatever_the_order_nothing_is_left():
    source = random.Random(7)
    for _ in range(50):
        table, boxes = Table(), [sandbox(f"r{number % 3}", f"c{number}", nsid=number) for number in range(8)]
        for number, box in enumerate(boxes):
            for interface in range(3):
                end(box, f"eth{interface}", f"r{(number + 1) % 3}:eth{interface}", ifindex=number * 10 + interface + 1)
        steps = [(table.add, box) for box in boxes] + [(table.remove, box) for box in boxes]
        source.shuffle(steps)
        for step, box in steps:
            step(box)
            for each in box.ends.values():
                if table.end(each.endpoint) is not None:
                    table.head(each.endpoint, Endpoint("default", "r0", "eth0"))
        for box in boxes:
            table.remove(box)
        assert is_empty(table)


def is_empty(table):
    kept = (table.sandboxes, table._current, table._ends, table._by_port, table._by_pod_end)
    groups = (table._toward, table._facing, table._by_device)
    return not any(kept) and not any(group._members or group._group for group in groups)
