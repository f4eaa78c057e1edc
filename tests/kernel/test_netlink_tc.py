"""Drops and redirects, on the real kernel."""

from __future__ import annotations

import contextlib
import errno
import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from meshnet.errors import KernelError
from meshnet.netlink import Netlink, Redirect, addresses, bpf, links, tc
from meshnet.testing.frames import CORPUS, UNICAST, FrameSocket, judge
from tests.kernel.pods import Pod, await_carrier, eventually, make_pod, make_pods, pings, plug, stats

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from meshnet.netlink import Request

pytestmark = pytest.mark.kernel

UNSENDABLE = {"QinQ full"}


@pytest.fixture
def redirects_to_peers() -> None:
    why = bpf.why_unusable()
    if why is not None:
        pytest.skip(why)


def splices(netlink: Netlink, pod: Pod) -> list[Redirect]:
    found = map(tc.parse_redirect, netlink.dump(tc.dump_filters(pod.port.ifindex)))
    return [redirect for redirect in found if redirect is not None]


@contextlib.contextmanager
def program(ifindex: int) -> Iterator[int]:
    fd = bpf.load_redirect_peer(ifindex)
    try:
        yield fd
    finally:
        os.close(fd)


def plug_by_peer(netlink: Netlink, one: Pod, other: Pod) -> None:
    for a, b in ((one, other), (other, one)):
        with program(b.port.ifindex) as fd:
            netlink.run([tc.redirect_peer(a.port.ifindex, b.port.ifindex, fd), links.set_link(a.port.ifindex, up=True)])
    await_carrier(netlink, one, other)


def judge_pods(sender: Pod, receiver: Pod) -> dict[str, str]:
    with FrameSocket("eth1", sender.netns) as out, FrameSocket("eth1", receiver.netns) as into:
        return dict(judge(out, into))


def expected() -> dict[str, str]:
    return {frame.name: "unsendable" if frame.name in UNSENDABLE else "passed" for frame in CORPUS}


def test_mirred_carries_pings(netlink: Netlink, new_ns: Callable[[], int]) -> None:
    one, other = make_pods(netlink, new_ns, 2)
    plug(netlink, one, other)

    assert pings(one, other.ipv4)
    assert pings(other, one.ipv6)
    assert [Redirect("mirred", other.port.ifindex)] == splices(netlink, one)


def test_mirred_carries_every_frame(netlink: Netlink, new_ns: Callable[[], int]) -> None:
    one, other = make_pods(netlink, new_ns, 2)
    plug(netlink, one, other)

    assert judge_pods(one, other) == expected()
    assert judge_pods(other, one) == expected()


def test_redirect_peer_carries_pings_and_every_frame(
    redirects_to_peers: None, netlink: Netlink, new_ns: Callable[[], int]
) -> None:
    one, other = make_pods(netlink, new_ns, 2)
    plug_by_peer(netlink, one, other)

    assert pings(one, other.ipv4)
    assert pings(other, one.ipv6)
    assert judge_pods(one, other) == expected()
    assert [Redirect("redirect_peer", other.port.ifindex)] == splices(netlink, one)


def test_without_a_redirect_nothing_passes(netlink: Netlink, new_ns: Callable[[], int]) -> None:
    one, other = make_pods(netlink, new_ns, 2)
    plug(netlink, one, other)
    netlink.run([tc.remove_redirect(one.port.ifindex)])
    with FrameSocket("eth1", one.netns) as out, FrameSocket("eth1", other.netns) as into:
        verdicts = judge(out, into, CORPUS[:1], timeout=0.2)

    assert verdicts == {"unicast": "lost"}
    assert splices(netlink, one) == []


def test_node_takes_no_frame_of_a_pod(netlink: Netlink, new_ns: Callable[[], int]) -> None:
    """The node has an address on both ports; only the one without the drop answers."""
    dropping, open_ = make_pod(netlink, new_ns(), 1), make_pod(netlink, new_ns(), 2, drops=False)
    for pod, address in ((dropping, "10.0.0.101"), (open_, "10.0.0.102")):
        requests = [
            addresses.add_address(pod.port.ifindex, f"{address}/32"),
            links.set_link(pod.port.ifindex, up=True),
        ]
        netlink.run(requests)
        await_carrier(netlink, pod)
        for name in ("all", pod.port.name):
            Path(f"/proc/sys/net/ipv4/conf/{name}/rp_filter").write_text("0")

    def answers(pod: Pod, address: str) -> bool:
        """Ask by ARP, which needs no route back."""
        with FrameSocket("eth1", pod.netns) as frames:
            source = bytes.fromhex("0200000002") + bytes((pod.number,))
            arp = bytes.fromhex("0001080006040001") + source + bytes((10, 0, 0, pod.number)) + bytes(6)
            target = bytes(map(int, address.split(".")))
            frames.send(b"\xff" * 6 + source + b"\x08\x06" + arp + target)
            end = time.monotonic() + 1
            while (came := frames.receive(end - time.monotonic())) is not None:
                if came[12:14] == b"\x08\x06" and came[20:22] == b"\x00\x02":
                    return True
        return False

    assert answers(open_, "10.0.0.102")
    assert not answers(dropping, "10.0.0.101")


def test_node_sends_no_frame_to_a_pod(netlink: Netlink, new_ns: Callable[[], int]) -> None:
    """With IPv6 forwarding even a quiet port reports its groups; the drop silences that, and frames of pods pass."""
    Path("/proc/sys/net/ipv6/conf/all/forwarding").write_text("1")
    silent, talking, third = (
        make_pod(netlink, new_ns(), 1),
        make_pod(netlink, new_ns(), 2, drops=False),
        make_pod(netlink, new_ns(), 3),
    )
    with FrameSocket("eth1", silent.netns) as at_silent, FrameSocket("eth1", talking.netns) as at_talking:
        for pod in (silent, talking):
            netlink.run([links.set_link(pod.port.ifindex, up=True)])
        own = {pod.number: bytes.fromhex(pod.port.mac.replace(":", "")) for pod in (silent, talking)}
        heard = sources(at_talking, until=own[talking.number])

        assert own[talking.number] in heard
        assert own[silent.number] not in sources(at_silent, until=own[silent.number], within=0.5)

        plug(netlink, silent, third)

        assert judge_pods(third, silent) == expected()


def sources(frames: FrameSocket, *, until: bytes, within: float = 10.0) -> set[bytes]:
    """Return the source addresses of what comes in, `until` that one came."""
    found: set[bytes] = set()
    end = time.monotonic() + within
    while until not in found and (came := frames.receive(end - time.monotonic())) is not None:
        found.add(came[6:12])
    return found


def count_lost(netlink: Netlink, pods: Sequence[Pod], swap: Callable[[int], list[Request]]) -> int:
    """Send from the first pod while its splice is swapped 200 times; return how many frames went to no other pod.

    One that the kernel had no room for at a pod's door, as in a flood on a busy machine, did go there.
    """
    sender, *receivers = pods
    for pod in pods:  # so that only the test's own frames are counted
        with Netlink.open(pod.netns) as inside:
            inside.run([links.set_link(pod.port.link, up=False), links.set_link(pod.port.link, quiet=True)])
            inside.run([links.set_link(pod.port.link, up=True)])
    await_carrier(netlink, *pods)
    frame = UNICAST + bytes.fromhex("0200000000aa") + b"\x88\xb5" + bytes(46)
    done = threading.Event()
    sent = 0

    def send() -> None:
        nonlocal sent
        with FrameSocket("eth1", sender.netns) as frames:
            while not done.is_set():
                frames.send(frame)
                sent += 1

    def forwarded() -> int:
        doors = [links.parse_stats(netlink.ask(links.get_link(pod.port.ifindex))) for pod in receivers]
        got = [stats(pod.netns, pod.port.link) for pod in receivers]
        return sum(pod.rx_packets for pod in got) + sum(door.tx_dropped for door in doors)

    before_sent, before = stats(sender.netns, sender.port.link).tx_packets, forwarded()
    thread = threading.Thread(target=send)
    thread.start()
    try:
        for number in range(200):
            netlink.run(swap(number))
            time.sleep(0.001)
    finally:
        done.set()
        thread.join()
    left = stats(sender.netns, sender.port.link).tx_packets - before_sent

    assert sent > 200
    assert left >= sent

    eventually(lambda: forwarded() - before == left, within=2)
    return left - (forwarded() - before)


def test_moving_a_redirect_loses_nothing(netlink: Netlink, new_ns: Callable[[], int]) -> None:
    one, left, right = pods = make_pods(netlink, new_ns, 3)
    plug(netlink, left, right)
    plug(netlink, one, left)

    def swap(number: int) -> list[Request]:
        return [tc.redirect(one.port.ifindex, (left, right)[number % 2].port.ifindex)]

    assert count_lost(netlink, pods, swap) == 0
    assert [Redirect("mirred", right.port.ifindex)] == splices(netlink, one)


def test_changing_the_method_loses_nothing(
    redirects_to_peers: None, netlink: Netlink, new_ns: Callable[[], int]
) -> None:
    one, left, right = pods = make_pods(netlink, new_ns, 3)
    plug(netlink, left, right)
    plug(netlink, one, left)
    with program(right.port.ifindex) as fd:

        def swap(number: int) -> list[Request]:
            if number % 2:
                return [tc.redirect(one.port.ifindex, left.port.ifindex), tc.remove_redirect_peer(one.port.ifindex)]
            peer = tc.redirect_peer(one.port.ifindex, right.port.ifindex, fd)
            return [peer, tc.remove_redirect(one.port.ifindex)]

        assert count_lost(netlink, pods, swap) == 0


def test_moving_a_redirect_to_a_peer(redirects_to_peers: None, netlink: Netlink, new_ns: Callable[[], int]) -> None:
    one, left, right = make_pods(netlink, new_ns, 3)
    for target in (left, right):
        plug_by_peer(netlink, one, target)

        assert pings(one, target.ipv4)
        assert [Redirect("redirect_peer", target.port.ifindex)] == splices(netlink, one)


def test_redirect_to_what_is_gone_says_so(netlink: Netlink, new_ns: Callable[[], int]) -> None:
    one, other = make_pods(netlink, new_ns, 2)
    plug(netlink, one, other)
    netlink.run([links.delete_link(other.port.ifindex)])

    assert [Redirect("mirred", 0)] == splices(netlink, one)

    third = make_pod(netlink, new_ns(), 3)
    plug(netlink, one, third)

    assert pings(one, third.ipv4)


def test_redirect_to_nobody_is_refused(netlink: Netlink, new_ns: Callable[[], int]) -> None:
    one, other = make_pods(netlink, new_ns, 2)
    plug(netlink, one, other)
    with pytest.raises(KernelError, match="to 999"):
        netlink.run([tc.redirect(one.port.ifindex, 999)])

    assert [Redirect("mirred", other.port.ifindex)] == splices(netlink, one)


def test_removing_what_is_not_there(netlink: Netlink, new_ns: Callable[[], int]) -> None:
    port = make_pod(netlink, new_ns(), 1).port
    for request in (tc.remove_redirect(port.ifindex), tc.remove_redirect_peer(port.ifindex)):
        with pytest.raises(KernelError) as caught:
            netlink.run([request])

        assert caught.value.errno == errno.ENOENT


def test_drops_again_change_nothing_and_clsact_again_is_refused(netlink: Netlink, new_ns: Callable[[], int]) -> None:
    port = make_pod(netlink, new_ns(), 1).port
    before = [netlink.dump(tc.dump_filters(port.ifindex, parent)) for parent in (tc.INGRESS, tc.EGRESS)]
    netlink.run([tc.add_ingress_drop(port.ifindex), tc.add_egress_own_drop(port.ifindex, port.mac)])
    after = [netlink.dump(tc.dump_filters(port.ifindex, parent)) for parent in (tc.INGRESS, tc.EGRESS)]

    assert [len(filters) for filters in before] == [len(filters) for filters in after]

    with pytest.raises(KernelError) as caught:
        netlink.run([tc.add_clsact(port.ifindex)])

    assert caught.value.errno == errno.EEXIST


def test_removed_drops_are_gone_and_cannot_be_removed_again(netlink: Netlink, new_ns: Callable[[], int]) -> None:
    port = make_pod(netlink, new_ns(), 1).port
    netlink.run([tc.add_egress_drop(port.ifindex)])
    for parent in (tc.INGRESS, tc.EGRESS):
        assert netlink.dump(tc.dump_filters(port.ifindex, parent))

        netlink.run([tc.remove_drop(port.ifindex, parent)])

        assert netlink.dump(tc.dump_filters(port.ifindex, parent)) == []
        with pytest.raises(KernelError) as caught:
            netlink.run([tc.remove_drop(port.ifindex, parent)])
        assert caught.value.errno == errno.ENOENT


def test_filters_come_in_order(redirects_to_peers: None, netlink: Netlink, new_ns: Callable[[], int]) -> None:
    one, other = make_pods(netlink, new_ns, 2)
    plug_by_peer(netlink, one, other)
    plug(netlink, one, other)
    priorities = [tc.parse_priority(payload) for payload in netlink.dump(tc.dump_filters(one.port.ifindex))]

    assert list(dict.fromkeys(priorities)) == [1, 2, 0xC000]
    assert [redirect.method for redirect in splices(netlink, one)] == ["mirred", "redirect_peer"]


def test_egress_drop_of_another_mac_lets_the_old_one_pass(netlink: Netlink, new_ns: Callable[[], int]) -> None:
    """After a change of the port's MAC the drop is put again, in place."""
    one, other = make_pods(netlink, new_ns, 2)
    plug(netlink, one, other)
    frames = [frame for frame in CORPUS if frame.name == "LLDP"]
    netlink.run([tc.add_egress_own_drop(other.port.ifindex, "02:00:00:00:00:aa")])
    with FrameSocket("eth1", one.netns) as out, FrameSocket("eth1", other.netns) as into:
        assert judge(out, into, frames, timeout=0.2) == {"LLDP": "lost"}

        netlink.run([tc.add_egress_own_drop(other.port.ifindex, other.port.mac)])

        assert judge(out, into, frames) == {"LLDP": "passed"}
