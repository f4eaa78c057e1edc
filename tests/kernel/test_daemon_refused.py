"""An edit that the kernel refuses in part, and what of it is there when it is taken back."""

from __future__ import annotations

import ctypes
import os
import struct
from typing import TYPE_CHECKING

import pytest

from meshnet.netlink import Netlink, Request, bpf
from meshnet.netlink.ifla import IFINFO, RTM_SETLINK
from meshnet.netlink.wire import nested, u32
from tests.kernel.daemons import link, pair, topology
from tests.kernel.pods import eventually

if TYPE_CHECKING:
    from tests.kernel.daemons import DaemonNode

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(bpf.why_unusable() is not None, reason="the kernel lets nobody load BPF here"),
]

XDP_PASS = 2
IFLA_XDP, IFLA_XDP_FD, IFLA_XDP_FLAGS, XDP_FLAGS_DRV_MODE = 43, 1, 3, 4


def load_xdp() -> int:
    """Return a descriptor of an XDP program that lets every frame pass."""
    code = ctypes.create_string_buffer(struct.pack("=BBhiBBhi", 0xB7, 0, 0, XDP_PASS, 0x95, 0, 0, 0), 16)
    licence = ctypes.create_string_buffer(b"GPL")
    attr = struct.pack("=IIQQ", 6, 2, ctypes.addressof(code), ctypes.addressof(licence))
    libc = ctypes.CDLL(None, use_errno=True)
    fd = int(libc.syscall(bpf._number(), bpf.BPF_PROG_LOAD, ctypes.create_string_buffer(attr, len(attr)), len(attr)))
    assert fd >= 0, os.strerror(ctypes.get_errno())
    return fd


def attach_xdp(netlink: Netlink, ifindex: int) -> None:
    """Give a veth a program in its driver: its other end takes no MTU of more than a page from then on."""
    fd = load_xdp()
    wish = nested(IFLA_XDP, u32(IFLA_XDP_FD, fd) + u32(IFLA_XDP_FLAGS, XDP_FLAGS_DRV_MODE))
    netlink.run([Request(RTM_SETLINK, 0, IFINFO.pack(0, 0, ifindex, 0, 0) + wish, "attach an XDP program")])
    os.close(fd)


@pytest.mark.parametrize("where", ["pod", "node"])
def test_what_came_about_of_an_edit_that_was_refused_goes_when_it_is_taken_back(node: DaemonNode, where: str) -> None:
    """Of a program on one end of a veth the other does not take the MTU: here the port, there the pod's interface."""
    node.apply(*pair())
    r1, _ = node.up("r1", "r2")
    before = r1.links()["eth1"]
    (port,) = (row["port"] for row in node.ask("links")["links"] if row["pod"] == "r1")
    with Netlink.open(r1.fd if where == "pod" else None) as netlink:
        attach_xdp(netlink, before.ifindex if where == "pod" else node.ports()[port].ifindex)
    edited = {"mtu": 9000, "local_mac": "02:11:22:33:44:55", "local_ip": "10.0.0.7/24"}
    node.apply(topology("r1", link(1, "eth1", "r2:eth1") | edited), topology("r2", link(1, "eth1", "r1:eth1")))
    assert eventually(lambda: node.state("r1") == ("Failed", "KernelRefused"))
    assert r1.links()["eth1"].mac == edited["local_mac"]

    node.apply(*pair())
    assert eventually(lambda: node.state("r1") == ("Up", ""))
    after = r1.links()["eth1"]
    assert (after.mac, after.mtu, node.ports()[port].mtu) == (before.mac, 1500, 1500)
    assert r1.addresses() == ["10.0.0.1/24"]
