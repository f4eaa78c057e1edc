"""Addresses, on the real kernel."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

from meshnet.errors import KernelError
from meshnet.netlink import Netlink, addresses
from tests.kernel.pods import make_pod

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.kernel


def listed(netlink: Netlink, nsid: int | None = None) -> list[tuple[int, str]]:
    return list(addresses.parse_addresses(netlink.dump(addresses.dump_addresses(nsid))))


@pytest.mark.parametrize("cidr", ["192.0.2.1/24", "192.0.2.2/31", "192.0.2.3/32", "fd00:1::1/64", "fd00:1::2/128"])
def test_address_goes_on_and_off(netlink: Netlink, new_ns: Callable[[], int], cidr: str) -> None:
    port = make_pod(netlink, new_ns(), 1).port
    netlink.run([addresses.add_address(port.ifindex, cidr)])

    assert [(port.ifindex, cidr)] == listed(netlink)

    netlink.run([addresses.delete_address(port.ifindex, cidr)])

    assert listed(netlink) == []


def test_addresses_of_another_namespace(netlink: Netlink, new_ns: Callable[[], int]) -> None:
    port = make_pod(netlink, new_ns(), 7).port
    found = listed(netlink, port.link_nsid)

    assert (port.link, "10.0.0.7/24") in found
    assert (port.link, "fd00::7/64") in found
    assert listed(netlink) == []


def test_same_address_twice_is_eexist(netlink: Netlink, new_ns: Callable[[], int]) -> None:
    port = make_pod(netlink, new_ns(), 1).port
    for cidr in ("192.0.2.1/24", "fd00:1::1/64"):
        netlink.run([addresses.add_address(port.ifindex, cidr)])
        with pytest.raises(KernelError, match=cidr) as caught:
            netlink.run([addresses.add_address(port.ifindex, cidr)])

        assert caught.value.errno == errno.EEXIST


def test_address_that_is_not_there(netlink: Netlink, new_ns: Callable[[], int]) -> None:
    port = make_pod(netlink, new_ns(), 1).port
    with pytest.raises(KernelError) as caught:
        netlink.run([addresses.delete_address(port.ifindex, "192.0.2.1/24")])

    assert caught.value.errno == errno.EADDRNOTAVAIL
