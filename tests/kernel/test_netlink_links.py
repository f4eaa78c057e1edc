"""Links, on the real kernel."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

import pytest

from meshnet.errors import KernelError
from meshnet.netlink import BatchError, Netlink, VethSpec, addresses, links
from meshnet.netlink.ifla import IFINFO, IFLA_NUM_RX_QUEUES, IFLA_NUM_TX_QUEUES
from meshnet.netlink.wire import attributes, to_u32
from meshnet.testing.frames import CORPUS, FrameSocket
from tests.kernel.pods import FIRST_PORT, await_carrier, echoes, eventually, link_names, make_pod, make_veths

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.kernel


def spec(netns: int, number: int = 0, **changes: Any) -> VethSpec:
    port = VethSpec(f"port{number}", FIRST_PORT + number, "02:00:00:00:01:01", 1400, "eth1", "02:00:00:00:02:01", netns)
    return port._replace(**changes)


@echoes
def test_echo_of_a_veth_is_its_port(netlink: Netlink, new_ns: Callable[[], int]) -> None:
    (echo,) = netlink.run([links.new_veth(spec(new_ns()))])

    assert links.parse_link(echo) == links.parse_link(netlink.ask(links.get_link(FIRST_PORT)))


def test_veth_tells_both_ends(netlink: Netlink, new_ns: Callable[[], int]) -> None:
    (port,) = make_veths(netlink, spec(new_ns()))

    assert (port.ifindex, port.name, port.kind) == (FIRST_PORT, "port0", "veth")
    assert (port.mtu, port.mac, port.up) == (1400, "02:00:00:00:01:01", False)
    assert port.link_nsid is not None

    end = links.parse_link(netlink.ask(links.get_link(port.link, port.link_nsid)))

    assert (end.name, end.mtu, end.mac, end.up) == ("eth1", 1400, "02:00:00:00:02:01", False)
    assert end.link == FIRST_PORT


def test_both_ends_have_one_queue_each_way(netlink: Netlink, new_ns: Callable[[], int]) -> None:
    (port,) = make_veths(netlink, spec(new_ns()))
    for request in (links.get_link(port.ifindex), links.get_link(port.link, port.link_nsid)):
        found = attributes(netlink.ask(request), IFINFO.size)

        assert [to_u32(found[IFLA_NUM_TX_QUEUES]), to_u32(found[IFLA_NUM_RX_QUEUES])] == [1, 1]


def test_veths_into_two_namespaces_in_one_batch(netlink: Netlink, new_ns: Callable[[], int]) -> None:
    ports = make_veths(netlink, *(spec(new_ns(), number, peer_ifindex=40 + number) for number in range(2)))

    assert [port.ifindex for port in ports] == [FIRST_PORT, FIRST_PORT + 1]
    assert [port.link for port in ports] == [40, 41]
    assert ports[0].link_nsid != ports[1].link_nsid


def test_longest_name_is_kept_whole(netlink: Netlink, new_ns: Callable[[], int]) -> None:
    name = "ethernet1234567"
    (port,) = make_veths(netlink, spec(new_ns(), port_name=name, peer_name=name))

    assert name == port.name
    assert name == links.parse_link(netlink.ask(links.get_link(port.link, port.link_nsid))).name


def test_too_long_name_is_refused_not_cut(netlink: Netlink, new_ns: Callable[[], int]) -> None:
    with pytest.raises(KernelError) as caught:
        netlink.run([links.new_veth(spec(new_ns(), peer_name="ethernet12345678"))])

    assert caught.value.errno == errno.ERANGE


def test_taken_ifindex_names_the_port(netlink: Netlink, new_ns: Callable[[], int]) -> None:
    pod = new_ns()
    netlink.run([links.new_veth(spec(pod))])
    with pytest.raises(KernelError, match=f"port7 .index {FIRST_PORT}") as caught:
        netlink.run([links.new_veth(spec(pod, port_name="port7", peer_name="eth2"))])

    assert caught.value.errno in {errno.EBUSY, errno.EEXIST}


def test_set_link_changes_what_is_given(netlink: Netlink, new_ns: Callable[[], int]) -> None:
    port = make_pod(netlink, new_ns(), 1).port
    mark = "x" * 255
    netlink.run(
        [
            links.set_link(port.ifindex, mtu=1300, mac="02:00:00:00:03:01", alias=mark, group=5, name="renamed"),
            links.set_link(port.ifindex, up=True),
        ]
    )
    now = links.parse_link(netlink.ask(links.get_link("renamed")))

    assert port.ifindex == now.ifindex
    assert (1300, "02:00:00:00:03:01", mark, 5, True, True) == (
        *(now.mtu, now.mac, now.alias, now.group, now.up, now.carrier),
    )

    netlink.run([links.set_link(port.ifindex, up=False)])
    now = links.parse_link(netlink.ask(links.get_link(port.ifindex)))

    assert (1300, mark, False) == (now.mtu, now.alias, now.up)


def test_quiet_link_gets_no_address(netlink: Netlink, new_ns: Callable[[], int]) -> None:
    quiet, loud = new_ns(), new_ns()
    for netns in (quiet, loud):
        (port,) = make_veths(netlink, spec(netns, netns))
        with Netlink.open(netns) as inside:
            inside.run([links.set_link(port.link, quiet=netns == quiet), links.set_link(port.link, up=True)])
        netlink.run([links.set_link(port.ifindex, quiet=True), links.set_link(port.ifindex, up=True)])

    def addressed(netns: int) -> list[tuple[int, str]]:
        with Netlink.open(netns) as inside:
            return list(addresses.parse_addresses(inside.dump(addresses.dump_addresses())))

    # The loud one got carrier after the quiet one: by the time it has its address the other would have one, too.
    assert eventually(lambda: len(addressed(loud)) == 1)
    assert addressed(quiet) == []
    assert addressed_on_node(netlink) == []


def addressed_on_node(netlink: Netlink) -> list[tuple[int, str]]:
    return list(addresses.parse_addresses(netlink.dump(addresses.dump_addresses())))


def test_links_of_another_namespace_by_nsid(netlink: Netlink, new_ns: Callable[[], int]) -> None:
    port = make_pod(netlink, new_ns(), 1).port

    assert link_names(netlink, port.link_nsid) == ["eth1", "lo"]
    assert link_names(netlink) == ["lo", "port1"]
    assert links.parse_link(netlink.ask(links.get_link("eth1", port.link_nsid))).up


def test_delete_link_of_another_namespace(netlink: Netlink, new_ns: Callable[[], int]) -> None:
    port = make_pod(netlink, new_ns(), 1).port
    netlink.run([links.delete_link(port.link, port.link_nsid)])

    assert link_names(netlink) == ["lo"]


def test_missing_link_is_enodev(netlink: Netlink) -> None:
    for request in (links.get_link(99), links.get_link("nope"), links.get_link(2, 12345)):
        with pytest.raises(KernelError) as caught:
            netlink.ask(request)

        assert caught.value.errno in {errno.ENODEV, errno.EINVAL}


def test_delete_group_deletes_that_group_alone(netlink: Netlink, new_ns: Callable[[], int]) -> None:
    pod = new_ns()
    netlink.run([links.new_veth(spec(pod, number, peer_name=f"eth{number}")) for number in range(6)])
    netlink.run([links.set_link(FIRST_PORT + number, group=100 + number % 2) for number in range(6)])
    netlink.run([links.delete_group(101)])

    assert link_names(netlink) == ["lo", "port0", "port2", "port4"]

    with pytest.raises(KernelError) as caught:
        netlink.run([links.delete_group(101)])

    assert caught.value.errno == errno.ENODEV


def test_stats_count_frames(netlink: Netlink, new_ns: Callable[[], int]) -> None:
    pod = make_pod(netlink, new_ns(), 1)
    netlink.run([links.set_link(pod.port.ifindex, up=True)])
    await_carrier(netlink, pod)
    before = links.parse_stats(netlink.ask(links.get_link(pod.port.ifindex)))
    with FrameSocket("eth1", pod.netns) as frames:
        for _ in range(10):
            frames.send(CORPUS[0].data)
    after = links.parse_stats(netlink.ask(links.get_link(pod.port.ifindex)))

    assert after.rx_packets - before.rx_packets >= 10
    assert after.rx_bytes - before.rx_bytes >= 10 * len(CORPUS[0].data)
    assert after.rx_errors == 0


def test_error_carries_the_kernels_explanation(netlink: Netlink, new_ns: Callable[[], int]) -> None:
    port = make_pod(netlink, new_ns(), 1).port
    with pytest.raises(BatchError) as caught:
        netlink.run([links.set_link(port.ifindex, mtu=9)])

    assert caught.value.errno == errno.EINVAL
    assert "mtu" in caught.value.detail
    assert caught.value.detail in str(caught.value)
    assert f"set link {port.ifindex}" == caught.value.what
