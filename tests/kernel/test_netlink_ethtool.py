"""Offloads, on the real kernel."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

from meshnet.errors import KernelError
from meshnet.netlink import Ethtool, Netlink
from tests.kernel.pods import make_pod

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.kernel


def test_tx_checksum_goes_off_and_on(netlink: Netlink, new_ns: Callable[[], int]) -> None:
    make_pod(netlink, new_ns(), 1)
    with Ethtool() as ethtool:
        assert ethtool.tx_checksum("port1")
        for on in (False, True):
            ethtool.set_tx_checksum("port1", on)

            assert ethtool.tx_checksum("port1") == on


def test_works_in_another_namespace(netlink: Netlink, new_ns: Callable[[], int]) -> None:
    pod = make_pod(netlink, new_ns(), 1)
    with Ethtool(pod.netns) as inside, Ethtool() as here:
        inside.set_tx_checksum("eth1", on=False)

        assert not inside.tx_checksum("eth1")
        assert here.tx_checksum("port1")
        with pytest.raises(KernelError, match="tx checksum offload of eth1") as caught:
            here.tx_checksum("eth1")

        assert caught.value.errno == errno.ENODEV
