"""Requests about links, and reading them."""

from __future__ import annotations

import struct
import subprocess
import sys

import pytest

from meshnet.netlink import ifla, links, wire

SPEC = links.VethSpec("port0", 1 << 20, "02:00:00:00:01:01", 1400, "eth1", "02:00:00:00:02:01", 42, 9)


def link(**attributes: bytes) -> bytes:
    head = ifla.IFINFO.pack(0, 1, 1 << 20, 0x1043, 0)
    return head + b"".join(wire.attribute(getattr(ifla, f"IFLA_{name}"), value) for name, value in attributes.items())


def test_veth_says_each_thing_once_and_in_its_place() -> None:
    request = links.new_veth(SPEC)
    outer = wire.attributes(request.body, ifla.IFINFO.size)
    info = wire.attributes(outer[ifla.IFLA_LINKINFO])
    peer = wire.attributes(info[ifla.IFLA_INFO_DATA])[ifla.VETH_INFO_PEER]
    inner = wire.attributes(peer, ifla.IFINFO.size)

    assert ifla.IFINFO.unpack_from(request.body) == (0, 0, 1 << 20, 0, 0)
    assert ifla.IFINFO.unpack_from(peer) == (0, 0, 9, 0, 0)
    assert info[ifla.IFLA_INFO_KIND] == b"veth\0"
    assert {ifla.IFLA_LINKINFO} == set(outer) - set(inner)
    assert {ifla.IFLA_NET_NS_FD} == set(inner) - set(outer)
    assert wire.to_u32(inner[ifla.IFLA_NET_NS_FD]) == 42
    for end, name, mac in ((outer, "port0", "02:00:00:00:01:01"), (inner, "eth1", "02:00:00:00:02:01")):
        assert wire.text(end[ifla.IFLA_IFNAME]) == name
        assert end[ifla.IFLA_ADDRESS].hex(":") == mac
        assert wire.to_u32(end[ifla.IFLA_MTU]) == 1400


def test_veth_fills_its_message_to_the_last_byte() -> None:
    body = links.new_veth(SPEC).body
    last = list(wire.walk(body, ifla.IFINFO.size))[-1]

    assert last[0] == ifla.IFLA_LINKINFO
    assert body.endswith(last[1])
    assert last[1].endswith(struct.pack("=HHI", 8, ifla.IFLA_NET_NS_FD, 42))


def test_request_says_what_it_is_about() -> None:
    assert links.new_veth(SPEC).what == "make veth port0 (index 1048576) to eth1"
    assert links.get_link("eth0").what == "read link eth0"
    assert links.get_link(3, 5).what == "read link 3 of namespace 5"
    assert links.delete_group(9).what == "delete links of group 9"


def test_set_link_touches_only_what_is_given() -> None:
    assert links.set_link(7).body == ifla.IFINFO.pack(0, 0, 7, 0, 0)
    assert links.set_link(7, up=True).body == ifla.IFINFO.pack(0, 0, 7, 1, 1)
    assert links.set_link(7, up=False).body == ifla.IFINFO.pack(0, 0, 7, 0, 1)
    assert set(wire.attributes(links.set_link(7, mtu=1, alias="").body, 16)) == {ifla.IFLA_MTU, ifla.IFLA_IFALIAS}


def test_set_link_refuses_a_mac_that_is_none() -> None:
    with pytest.raises(ValueError, match="'02:00'"):
        links.set_link(7, mac="02:00")


def test_link_is_read() -> None:
    info = links.parse_link(
        link(
            IFNAME=b"eth1\0",
            MTU=struct.pack("=I", 9000),
            ADDRESS=bytes.fromhex("020000000001"),
            IFALIAS=b"pod r1\0",
            GROUP=struct.pack("=I", 5),
            LINK=struct.pack("=I", 3),
            LINK_NETNSID=struct.pack("=i", 0),
            MASTER=struct.pack("=I", 8),
            CARRIER=b"\1",
            GSO_IPV4_MAX_SIZE=struct.pack("=I", 65536),
            LINKINFO=wire.string(1, "veth"),
        )
    )

    assert info == links.LinkInfo(
        1 << 20, "eth1", "veth", True, True, 9000, "02:00:00:00:00:01", "pod r1", 5, 3, 0, 8, 0x1043, 65536
    )


def test_link_that_says_little() -> None:
    info = links.parse_link(link(IFNAME=b"lo\0"))

    assert (info.kind, info.mac, info.alias, info.link, info.link_nsid, info.carrier) == ("", "", "", 0, None, False)


def test_stats_are_read() -> None:
    assert links.parse_stats(link(STATS64=struct.pack("=10Q", *range(10)))) == links.LinkStats(*range(8))


def test_importing_netlink_does_not_import_pyroute2() -> None:
    program = "import sys, meshnet.netlink; sys.exit('pyroute2' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=30).returncode == 0
