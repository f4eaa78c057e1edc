"""A node whose address changes under its daemon: it ends by itself, and what starts anew is reached at the new one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from meshnet.netlink import Netlink, addresses
from tests.kernel.daemons import NODE_IP, pair
from tests.kernel.pods import eventually

if TYPE_CHECKING:
    from tests.kernel.daemons import DaemonNode

pytestmark = pytest.mark.kernel

LOOPBACK = 1


def test_a_daemon_whose_nodes_address_changes_starts_anew_and_its_links_go_on(node: DaemonNode) -> None:
    node.kill()
    node.start(MESHNET_PASS_SECONDS="0.5", MESHNET_UNDERLAY_INTERFACE="lo")
    node.apply(*pair())
    r1, _ = node.up("r1", "r2")
    assert node.status("r1")["src_ip"] == NODE_IP
    process = node.process
    assert process is not None

    with Netlink.open() as netlink:
        netlink.run([addresses.add_address(LOOPBACK, "198.51.100.7/32")])
        netlink.run([addresses.delete_address(LOOPBACK, f"{NODE_IP}/32")])

    assert eventually(lambda: process.poll() is not None, within=15)
    assert process.returncode == 1
    assert f"the underlay was {NODE_IP} (interface 1, MTU 65536) and is 198.51.100.7" in node.log()
    assert r1.carrier()
    node.start()
    assert eventually(lambda: node.status("r1").get("src_ip") == "198.51.100.7", within=15)
    assert r1.carrier()


def test_a_daemon_whose_node_is_given_one_more_address_goes_on(node: DaemonNode) -> None:
    """Of IPv6 the kernel lists the newest first, as a virtual address, or one of router advertisements."""
    node.kill()
    with Netlink.open() as netlink:
        netlink.run([addresses.delete_address(LOOPBACK, f"{NODE_IP}/32")])
        netlink.run([addresses.add_address(LOOPBACK, "2001:db8::1/128")])
        node.start(HOST_IP="", MESHNET_PASS_SECONDS="0.5", MESHNET_UNDERLAY_INTERFACE="lo")
        process = node.process
        assert process is not None
        netlink.run([addresses.add_address(LOOPBACK, "2001:db8::2/128")])

    assert not eventually(lambda: process.poll() is not None, within=3), node.log()
