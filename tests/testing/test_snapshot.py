from __future__ import annotations

import pytest

from meshnet.testing.snapshot import _settings


@pytest.mark.parametrize(
    ("data", "told"),
    [(None, ""), ("08:00:01:00", "08:00:01:00"), ({"attrs": [("b", 2), ("a", 1)]}, "[('a', '1'), ('b', '2')]")],
)
def test_a_device_of_a_kind_that_pyroute2_does_not_know_is_told_by_its_bytes(data, told):
    """As the ones that loading GRE's module leaves in every namespace."""
    assert _settings(data) == told
