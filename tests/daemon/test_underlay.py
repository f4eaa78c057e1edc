"""The underlay: what is set for it must be there, and packets no larger than its interface takes."""

from __future__ import annotations

import errno
from types import SimpleNamespace
from typing import Any, cast

import pytest

from meshnet.daemon import underlay
from meshnet.daemon.underlay import find_underlay
from meshnet.driver.link import Underlay
from meshnet.errors import InvalidObject, KernelError


@pytest.fixture
def netlink(monkeypatch):
    """A node whose eth0 takes packets of 1500 bytes, and eth1 of 9000; eth2 is just gone."""
    eth0 = SimpleNamespace(ifindex=3, name="eth0", mtu=1500)
    monkeypatch.setattr(underlay, "links", SimpleNamespace(get_link=lambda index: index, parse_link=lambda it: it))
    monkeypatch.setattr(
        underlay, "addresses", SimpleNamespace(dump_addresses=lambda: "addresses", parse_addresses=lambda it: it)
    )
    eth1 = SimpleNamespace(ifindex=4, name="eth1", mtu=9000)
    having = [(3, "10.0.0.1/24"), (4, "fe80::1/64"), (4, "10.1.0.1/24"), (4, "10.1.0.2/24"), (5, "10.2.0.1/24")]
    there = {3: eth0, 4: eth1}

    def ask_many(indexes):
        return [there.get(index) or KernelError(errno.ENODEV, "read link") for index in indexes]

    return cast("Any", SimpleNamespace(dump=lambda *_, **__: having, ask_many=ask_many))


@pytest.mark.parametrize(("given", "mtu"), [(0, 1500), (1400, 1400), (1500, 1500)])
def test_its_mtu_is_what_is_set_or_the_interfaces(netlink, given, mtu):
    found = find_underlay(netlink, address="10.0.0.1", interface="", mtu=given)
    assert found == Underlay(mtu, 4, "10.0.0.1", 3)


def test_an_mtu_that_the_interface_does_not_take_is_refused(netlink):
    """Links would be as large as that, and their packets lost or cut on the way."""
    with pytest.raises(InvalidObject, match=r"MESHNET_UNDERLAY_MTU.*1501.*eth0.*1500"):
        find_underlay(netlink, address="10.0.0.1", interface="", mtu=1501)


def test_an_address_that_is_not_there_is_named(netlink):
    with pytest.raises(InvalidObject, match=r"HOST_IP.*10\.0\.0\.2.*10\.0\.0\.1"):
        find_underlay(netlink, address="10.0.0.2", interface="", mtu=0)


@pytest.mark.parametrize(
    ("before", "found"), [("10.1.0.2", "10.1.0.2"), ("10.1.0.9", "10.1.0.1"), ("10.0.0.1", "10.1.0.1")]
)
def test_an_address_that_was_used_is_used_while_the_interface_has_it(netlink, before, found):
    """Of IPv6 the first is the newest: a node that is given one more would be another one to its peers."""
    assert find_underlay(netlink, address="", interface="eth1", mtu=0, before=before).address == found


def test_an_address_that_is_set_goes_before_one_that_was_used(netlink):
    found = find_underlay(netlink, address="10.1.0.1", interface="eth1", mtu=0, before="10.1.0.2")
    assert found.address == "10.1.0.1"


@pytest.mark.parametrize(
    ("address", "found"),
    [("", "10.1.0.1"), ("10.0.0.1", "10.1.0.1"), ("10.1.0.2", "10.1.0.2")],
    ids=["no address", "another's address", "its second address"],
)
def test_an_interface_that_is_named_is_used_whatever_the_address(netlink, address, found):
    assert find_underlay(netlink, address=address, interface="eth1", mtu=0) == Underlay(9000, 4, found, 4)


def test_an_interface_that_is_not_there_is_named(netlink):
    with pytest.raises(InvalidObject, match=r"MESHNET_UNDERLAY_INTERFACE.*eth7"):
        find_underlay(netlink, address="10.0.0.1", interface="eth7", mtu=0)
