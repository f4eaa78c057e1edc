"""The page of each driver has every reason that the driver can give."""

from __future__ import annotations

import pytest

from tests.docs import reasons
from tests.docs.pages import ROOT

OF_ANY = {"KernelRefused", "PeerNotHere"}
"""What the page on troubles tells of all drivers: the kernel's own words, and a driver that core would not choose."""


@pytest.mark.parametrize("driver", sorted(reasons.of_drivers()))
def test_every_reason_is_in_the_drivers_page(driver: str) -> None:
    page = (ROOT / "plugins" / driver / "README.md").read_text()

    assert [word for word in sorted(reasons.of_drivers()[driver] - OF_ANY) if f"`{word}`" not in page] == []
