"""What a daemon takes from the record of another node."""

from __future__ import annotations

from meshnet.model.node_record import MOST_ADDRESSES, decode_node
from meshnet.model.resource import Kind, Resource


def record(**spec):
    return decode_node(Resource(Kind.NODE, {"metadata": {"name": "n2"}, "spec": spec}))


def test_a_few_addresses_are_tried_however_many_a_node_claims():
    assert record(addresses=["192.0.2.1"]).addresses == ("192.0.2.1",)
    assert record(addresses=["192.0.2.1", 7, *["192.0.2.2"] * 20_000]).addresses == (
        "192.0.2.1",
        *["192.0.2.2"] * (MOST_ADDRESSES - 1),
    )
