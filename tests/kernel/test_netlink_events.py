"""Link events of all namespaces, on the real kernel."""

from __future__ import annotations

import ctypes
import errno
import os
import select
import socket
import struct
import subprocess
import threading
import time
from typing import TYPE_CHECKING

import pytest

from meshnet.errors import KernelError
from meshnet.netlink import LinkEvent, LinkMonitor, Netlink, Overrun, links
from meshnet.netlink.ifla import IFINFO, IFLA_NET_NS_FD, RTM_SETLINK
from meshnet.netlink.netns import nsid, number_own
from meshnet.netlink.wire import Request, u32
from tests.kernel.pods import Pod, eventually, make_pod

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.kernel

CAP_NET_BROADCAST = 11


@pytest.fixture
def monitor(node_ns: int) -> Iterator[LinkMonitor]:
    with LinkMonitor() as monitor:
        yield monitor


@pytest.fixture
def pod(netlink: Netlink, monitor: LinkMonitor, new_ns: Callable[[], int]) -> Pod:
    """A pod whose making has been heard."""
    pod = make_pod(netlink, new_ns(), 1)
    netlink.run([links.set_link(pod.port.ifindex, up=True)])
    hear(monitor, lambda event: (event.nsid, event.ifindex, event.up) == (None, pod.port.ifindex, True))
    return pod


def hear(monitor: LinkMonitor, wanted: Callable[[LinkEvent], bool], within: float = 10.0) -> list[LinkEvent]:
    """Return all events up to the first that is `wanted`; fail when it does not come."""
    events: list[LinkEvent] = []
    end = time.monotonic() + within
    while not any(map(wanted, events)):
        left = end - time.monotonic()
        assert left > 0, events
        if select.select([monitor], [], [], left)[0]:
            events += monitor.read()
    return events


def settle(monitor: LinkMonitor, netlink: Netlink) -> list[LinkEvent]:
    """Return all events so far: up to one that is made here."""
    netlink.run([links.set_link(1, up=True)])
    events = hear(monitor, lambda event: (event.nsid, event.ifindex) == (None, 1))
    netlink.run([links.set_link(1, up=False)])
    hear(monitor, lambda event: (event.nsid, event.ifindex, event.up) == (None, 1, False))
    return [event for event in events if (event.nsid, event.ifindex) != (None, 1)]


def test_nothing_happened(monitor: LinkMonitor) -> None:
    assert monitor.read() == []


def test_hears_a_pods_link_down_and_up(monitor: LinkMonitor, netlink: Netlink, pod: Pod) -> None:
    port = pod.port
    with Netlink.open(pod.netns) as inside:
        for up in (False, True):
            inside.run([links.set_link(port.link, up=up)])
            events = settle(monitor, netlink)

            assert [(port.link_nsid, port.link, up, False)] == [
                (event.nsid, event.ifindex, event.up, event.gone) for event in events
            ]


def test_hears_nothing_of_other_changes(monitor: LinkMonitor, netlink: Netlink, pod: Pod) -> None:
    with Netlink.open(pod.netns) as inside:
        inside.run([links.set_link(pod.port.link, up=False)])  # Linux before 6.2 renames no link that is up
        assert settle(monitor, netlink) != []

        inside.run([links.set_link(pod.port.link, mtu=1300, alias="x"), links.set_link(pod.port.link, name="eth7")])

    assert settle(monitor, netlink) == []


def test_hears_a_new_port_with_its_peer(monitor: LinkMonitor, netlink: Netlink, new_ns: Callable[[], int]) -> None:
    pod = make_pod(netlink, new_ns(), 1)
    events = settle(monitor, netlink)

    assert LinkEvent(None, pod.port.ifindex, False, False) in events


def test_hears_that_a_pods_end_was_deleted(monitor: LinkMonitor, netlink: Netlink, pod: Pod) -> None:
    with Netlink.open(pod.netns) as inside:
        inside.run([links.delete_link(pod.port.link)])
    events = settle(monitor, netlink)

    assert {(None, pod.port.ifindex), (pod.port.link_nsid, pod.port.link)} == {
        (event.nsid, event.ifindex) for event in events if event.gone
    }


def test_a_link_that_leaves_a_bridge_is_not_gone(monitor: LinkMonitor, netlink: Netlink, pod: Pod) -> None:
    """The kernel tells of it as a deletion, in the words of the bridge."""
    subprocess.run(["ip", "link", "add", "br0", "type", "bridge"], check=True)
    bridge = links.parse_link(netlink.ask(links.get_link("br0"))).ifindex
    netlink.run([links.set_link(pod.port.ifindex, master=bridge)])
    assert not any(event.gone for event in settle(monitor, netlink))

    netlink.run([links.delete_link(bridge)])

    assert [event.ifindex for event in settle(monitor, netlink) if event.gone] == [bridge]


def test_hears_that_a_namespace_ended(monitor: LinkMonitor, netlink: Netlink, pod: Pod) -> None:
    os.close(pod.netns)
    events = hear(monitor, lambda event: event.gone and (event.nsid, event.ifindex) == (None, pod.port.ifindex))

    assert LinkEvent(pod.port.link_nsid, 0, True, False) in events


def test_hears_the_end_of_a_namespace_without_any_port(
    monitor: LinkMonitor, netlink: Netlink, new_ns: Callable[[], int]
) -> None:
    fd = new_ns()
    number = nsid(netlink, fd)
    os.close(fd)

    hear(monitor, lambda event: event == LinkEvent(number, 0, True, False))


def test_hears_a_move_into_a_nested_namespace_and_then_from_there(
    monitor: LinkMonitor, netlink: Netlink, pod: Pod, new_ns: Callable[[], int]
) -> None:
    nested = new_ns()
    move = IFINFO.pack(0, 0, pod.port.link, 0, 0) + u32(IFLA_NET_NS_FD, nested)
    with Netlink.open(pod.netns) as inside:
        inside.run([Request(RTM_SETLINK, 0, move, "move the pod's end")])
    (event,) = [event for event in settle(monitor, netlink) if event.gone]

    assert (event.nsid, event.ifindex) == (pod.port.link_nsid, pod.port.link)

    moved = links.parse_link(netlink.ask(links.get_link(pod.port.ifindex)))

    assert moved.link_nsid not in {None, pod.port.link_nsid}

    with Netlink.open(nested) as inside:
        inside.run([links.set_link(moved.link, up=True)])

    assert (moved.link_nsid, moved.link, True) in [
        (event.nsid, event.ifindex, event.up) for event in settle(monitor, netlink)
    ]


def test_overrun_is_told_once_and_then_it_hears_again(monitor: LinkMonitor, netlink: Netlink) -> None:
    with socket.socket(fileno=os.dup(monitor.fileno())) as same:
        same.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    netlink.run([links.set_link(1, up=bool(number % 2)) for number in range(100)])
    with pytest.raises(Overrun, match="events were lost"):
        monitor.read()

    assert monitor.read() == []

    netlink.run([links.set_link(1, up=False)])

    assert [(event.nsid, event.ifindex, event.up) for event in monitor.read()] == [(None, 1, False)]


def test_without_the_capability_it_says_which(node_ns: int) -> None:
    outcome: list[object] = []

    def body() -> None:
        """On a thread that gives the capability up: capabilities are each thread's own."""
        give_up(CAP_NET_BROADCAST)
        try:
            outcome.append(LinkMonitor())
        except KernelError as error:
            outcome.append(error)

    before = len(os.listdir("/proc/self/fd"))
    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    (error,) = outcome

    assert isinstance(error, KernelError)
    assert error.errno == errno.EPERM
    assert "CAP_NET_BROADCAST" in str(error)
    assert eventually(lambda: len(os.listdir("/proc/self/fd")) == before)


def give_up(capability: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    header = ctypes.create_string_buffer(struct.pack("=Ii", 0x20080522, 0))
    data = ctypes.create_string_buffer(24)
    assert libc.capget(header, data) == 0, os.strerror(ctypes.get_errno())
    words = list(struct.unpack("=6I", data.raw))
    words[0] &= ~(1 << capability)
    struct.pack_into("=6I", data, 0, *words)
    assert libc.capset(header, data) == 0, os.strerror(ctypes.get_errno())


def test_its_own_namespace_is_told_as_none_even_when_it_has_a_number(
    monitor: LinkMonitor, netlink: Netlink, pod: Pod
) -> None:
    number_own(netlink)
    netlink.run([links.delete_link(pod.port.ifindex)])
    hear(monitor, lambda event: event == LinkEvent(None, pod.port.ifindex, gone=True, up=False))
