"""What a daemon takes from the record of another node."""

from __future__ import annotations

import pytest

from meshnet.model.node_record import MOST_ADDRESSES, MOST_TOLD, decode_node
from meshnet.model.resource import Kind, Resource


def record(**spec):
    return decode_node(Resource(Kind.NODE, {"metadata": {"name": "n2"}, "spec": spec}))


@pytest.mark.parametrize(
    ("said", "counts"),
    [
        ("vxlan", "vxlan"),
        ("Their_Own.1", "Their_Own.1"),
        ("", ""),
        (None, ""),
        (1, ""),
        ("x" * 500_000, ""),
        ("a\nb", ""),
    ],
    ids=["usual", "strangers", "empty", "null", "number", "long", "lines"],
)
def test_a_default_driver_that_can_be_none_is_not_told(said, counts):
    """It stands in the status of links to that node: a store refuses one that is too long, with all that is in it."""
    assert record(default_driver=said).default_driver == counts


def test_a_few_addresses_are_tried_however_many_a_node_claims():
    assert record(addresses=["192.0.2.1"]).addresses == ("192.0.2.1",)
    assert record(addresses=["192.0.2.1", 7, *["192.0.2.2"] * 20_000]).addresses == (
        "192.0.2.1",
        *["192.0.2.2"] * (MOST_ADDRESSES - 1),
    )


def test_why_a_driver_is_not_usable_there_is_kept_in_bounds():
    usable = {"name": "veth", "state": "usable"}
    broken = {"name": "vxlan", "state": "unusable", "reason": "x" * 500_000}
    found = record(drivers=[usable, broken, {"name": "other", "state": "broken", "reason": 7}, "vxlan", {}])
    assert list(found.drivers) == ["veth"]
    assert found.unusable == {"vxlan": "x" * MOST_TOLD, "other": ""}
