"""Devices of others in the kit's tests: named nearly as a driver's own, and as nothing that is there."""

import pytest

from meshnet.driver import Scope
from meshnet.testing.bench import Bench
from meshnet.testing.strangers import make_strangers
from tests.testing.hop import Hop


@pytest.mark.kernel
def test_devices_whose_names_differ_in_their_last_letter_have_a_stranger_each(meshnet_node):
    """As those of a driver that makes two for a link, and tells their ends apart so."""
    made = frozenset(f"n1: link {index} {name} veth" for index, name in enumerate(["wire-a", "wire-b", "wire-z"], 7))
    with Bench.running(meshnet_node, Hop, Scope.SAME_NODE) as bench:
        lines = make_strangers(bench, made)

    there = [line.split()[3] for line in lines if line.startswith("n1: link ")]
    assert sorted(there) == ["strangez", "wire-w", "wire-x", "wire-y"]
