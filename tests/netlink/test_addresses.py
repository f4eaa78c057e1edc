"""Requests about addresses, and reading them."""

from __future__ import annotations

import ipaddress
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshnet.netlink import addresses
from meshnet.netlink.wire import attribute, attributes

interfaces = st.one_of(
    st.builds(lambda address, length: f"{address}/{length}", st.ip_addresses(v=4), st.integers(0, 32)),
    st.builds(lambda address, length: f"{address}/{length}", st.ip_addresses(v=6), st.integers(0, 128)),
)


@given(interfaces)
def test_address_is_read_as_it_was_written(cidr: str) -> None:
    ((ifindex, found),) = addresses.parse_addresses([addresses.add_address(7, cidr).body])

    assert ifindex == 7
    assert ipaddress.ip_interface(found) == ipaddress.ip_interface(cidr)


def test_addresses_of_other_protocols_are_none() -> None:
    """The kernel tells those of MCTP in the same list."""
    mctp = struct.pack("=BBBBI", 45, 0, 0, 0, 7) + attribute(addresses.IFA_LOCAL, b"\x08")

    assert list(addresses.parse_addresses([mctp, addresses.add_address(7, "fd00::1/64").body])) == [(7, "fd00::1/64")]


@given(st.ip_addresses(v=4), st.integers(0, 30))
def test_broadcast_is_the_networks(address: ipaddress.IPv4Address, length: int) -> None:
    interface = ipaddress.IPv4Interface((address, length))
    found = attributes(addresses.add_address(7, str(interface)).body, 8)

    assert found[addresses.IFA_BROADCAST] == interface.network.broadcast_address.packed


@pytest.mark.parametrize("length", [31, 32])
def test_two_addresses_have_no_broadcast(length: int) -> None:
    assert addresses.IFA_BROADCAST not in attributes(addresses.add_address(7, f"192.0.2.1/{length}").body, 8)


@pytest.mark.parametrize(
    "cidr", ["", "192.0.2.1", "192.0.2.1/", "192.0.2.1/33", "192.0.2/24", "fd00::1/129", "fd00::g/64", "192.0.2.1/-1"]
)
def test_what_is_no_address_is_refused_by_name(cidr: str) -> None:
    for request in (addresses.add_address, addresses.delete_address):
        with pytest.raises(ValueError, match="prefix length") as caught:
            request(7, cidr)

        assert repr(cidr) in str(caught.value)


def test_request_says_what_it_is_about() -> None:
    assert addresses.add_address(7, "fd00::1/64").what == "add address fd00::1/64 to link 7"
    assert addresses.dump_addresses(3).what == "list addresses of namespace 3"
