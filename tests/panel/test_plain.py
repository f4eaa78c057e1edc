from __future__ import annotations

import pytest

from meshnet.panel.plain import LARGE_UDP, UNTOLD, untold


@pytest.mark.parametrize(
    ("release", "refuses"),
    [("6.1.0-56-amd64", True), ("5.15.0", True), ("6.2.0", False), ("6.18.44-fc-v657", False), ("7.0-rc1", False)],
)
def test_before_linux_6_2_large_frames_of_udp_are_refused(release, refuses):
    assert set(UNTOLD) < {*untold(release), ""}
    assert (LARGE_UDP in untold(release)) is refuses
