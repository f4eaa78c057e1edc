"""The netlink socket, on the real kernel."""

from __future__ import annotations

import errno
import os
import socket
import threading
from typing import TYPE_CHECKING

import pytest

from meshnet.errors import KernelError
from meshnet.netlink import BatchError, Netlink, addresses, links
from tests.kernel.pods import echoes, link_names, make_pod, name_fully

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from meshnet.netlink.messages import Message

pytestmark = pytest.mark.kernel

LOOPBACK = 1


def test_batch_goes_on_after_a_failure_and_names_each(netlink: Netlink) -> None:
    batch = [
        links.set_link(LOOPBACK, alias="first"),
        links.set_link(98, up=True),
        addresses.add_address(LOOPBACK, "192.0.2.1/32"),
        links.set_link(99, up=True),
        links.set_link(LOOPBACK, up=True),
    ]
    with pytest.raises(BatchError, match="set link 98") as caught:
        netlink.run(batch)

    assert [position for position, _ in caught.value.failures] == [1, 3]
    assert [error.errno for _, error in caught.value.failures] == [errno.ENODEV] * 2

    now = links.parse_link(netlink.ask(links.get_link(LOOPBACK)))

    assert (now.alias, now.up) == ("first", True)
    assert (LOOPBACK, "192.0.2.1/32") in addresses.parse_addresses(netlink.dump(addresses.dump_addresses()))


def test_failure_at_the_end_of_a_batch(netlink: Netlink) -> None:
    with pytest.raises(BatchError) as caught:
        netlink.run([links.set_link(LOOPBACK, up=True), links.set_link(99, up=True)])

    assert [position for position, _ in caught.value.failures] == [1]
    assert "lo" in link_names(netlink)


@echoes
def test_echoes_of_what_worked_come_with_the_failures(netlink: Netlink, new_ns: Callable[[], int]) -> None:
    pod = new_ns()
    make_pod(netlink, pod, 1)
    port = links.VethSpec("port2", 1 << 21, "02:00:00:00:01:02", 1500, "eth2", "02:00:00:00:02:02", pod)
    with pytest.raises(BatchError) as caught:
        netlink.run([links.new_veth(port), links.new_veth(port)])

    assert [links.parse_link(echo).name for echo in caught.value.echoes] == ["port2"]


def test_nothing_to_do(netlink: Netlink) -> None:
    assert netlink.run([]) == []
    assert netlink.ask_many([]) == []


def test_batch_larger_than_the_buffers(netlink: Netlink) -> None:
    batch = [links.set_link(LOOPBACK, alias=f"{number:0255}") for number in range(40_000)]
    batch[20_000] = links.set_link(99, up=True)
    with pytest.raises(BatchError) as caught:
        netlink.run(batch)

    assert [position for position, _ in caught.value.failures] == [20_000]
    assert f"{39_999:0255}" == links.parse_link(netlink.ask(links.get_link(LOOPBACK))).alias


def test_thousands_of_answers_in_order(netlink: Netlink) -> None:
    questions = [links.get_link(LOOPBACK if number % 3 else 99) for number in range(6000)]
    answers = netlink.ask_many(questions)

    assert len(questions) == len(answers)
    for number, answer in enumerate(answers):
        if number % 3:
            assert isinstance(answer, bytes)
            assert links.parse_link(answer).name == "lo"
        else:
            assert isinstance(answer, KernelError)
            assert answer.errno == errno.ENODEV


def test_link_with_as_many_names_as_it_may_have_hides_no_other(netlink: Netlink) -> None:
    """Who may set up a pod's interfaces gives them names as well: its answer may be 64 KiB and more."""
    name_fully(netlink, LOOPBACK)
    alone = len(netlink.ask(links.get_link(LOOPBACK)))
    answers = netlink.ask_many([links.get_link(LOOPBACK if number % 3 else 99) for number in range(600)])

    assert alone > 1 << 16
    assert [alone if number % 3 else errno.ENODEV for number in range(600)] == [
        answer.errno if isinstance(answer, KernelError) else len(answer) for answer in answers
    ]


def test_lost_answers_are_told_and_do_not_answer_the_next(netlink: Netlink) -> None:
    with socket.socket(fileno=os.dup(netlink.fileno())) as same:
        same.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        with pytest.raises(KernelError, match="what was done is unknown") as caught:
            netlink.run([links.set_link(99, up=True)] * 200)
        same.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 17)

    assert caught.value.errno == errno.ENOBUFS
    assert links.parse_link(netlink.ask(links.get_link(LOOPBACK))).name == "lo"


def test_question_without_an_answer(netlink: Netlink) -> None:
    silent = links.set_link(LOOPBACK, up=True)
    with pytest.raises(KernelError) as caught:
        netlink.ask(silent)

    assert caught.value.errno == errno.ENODATA
    assert [KernelError] == [type(answer) for answer in netlink.ask_many([silent])]
    assert "lo" in link_names(netlink)


def test_socket_stays_in_its_namespace(netlink: Netlink, new_ns: Callable[[], int]) -> None:
    pod = make_pod(netlink, new_ns(), 1)
    with Netlink.open(pod.netns) as inside:
        seen: list[list[str]] = [link_names(inside)]
        thread = threading.Thread(target=lambda: seen.append(link_names(inside)))
        thread.start()
        thread.join()

    assert seen == [["eth1", "lo"]] * 2
    assert link_names(netlink) == ["lo", "port1"]


def test_adopted_socket_works_where_it_was_opened(netlink: Netlink, new_ns: Callable[[], int]) -> None:
    pod = make_pod(netlink, new_ns(), 1)
    with Netlink.open(pod.netns) as opened:
        fd = os.dup(opened.fileno())
    os.set_inheritable(fd, True)
    with Netlink.adopt(fd) as inside:
        inside.run([links.set_link(pod.port.link, mtu=1234)])

        assert link_names(inside) == ["eth1", "lo"]
        assert not os.get_inheritable(fd)

    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


def test_adopting_anything_else_is_refused_and_closes_it() -> None:
    sockets = [
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM),
        socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, 16),
    ]
    for fd in (*(sock.detach() for sock in sockets), os.open(os.devnull, os.O_RDONLY)):
        with pytest.raises(KernelError, match="adopt a netlink socket"):
            Netlink.adopt(fd)
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(fd)


class Interrupted(Netlink):
    """Lets something happen after the first part of each of its first `times` dumps."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        self.times = 0
        self.happen: Callable[[], None] = lambda: None
        self.parts = 0

    def _dump_once(self, request: links.Request) -> tuple[list[bytes], bool]:  # type: ignore[name-defined]
        self.parts = 0
        return super()._dump_once(request)

    def _receive(self, what: str) -> Iterator[Message]:
        self.parts += 1
        if self.parts == 2 and self.times:
            self.times -= 1
            self.happen()
        return super()._receive(what)


@pytest.fixture
def many_links(netlink: Netlink, new_ns: Callable[[], int]) -> int:
    """A namespace with so many links that a list of them comes in several parts."""
    pod = new_ns()
    mac = "02:00:00:00:01:01"
    specs = [links.VethSpec(f"port{n}", 4096 + n, mac, 1500, f"eth{n}", mac, pod) for n in range(100)]
    netlink.run([links.new_veth(spec) for spec in specs])
    return pod


def test_interrupted_list_is_asked_for_again(netlink: Netlink, many_links: int) -> None:
    with Interrupted.open() as listing:
        listing.times = 3
        # The port that a list has already told of leaves: what was read is no state that ever was.
        gone = iter(range(3))
        listing.happen = lambda: netlink.run([links.delete_link(4096 + next(gone))]) and None
        found = link_names(listing)

    assert listing.times == 0
    assert sorted(["lo", *(f"port{n}" for n in range(3, 100))]) == found


def test_list_that_never_holds_still(netlink: Netlink, many_links: int) -> None:
    with Interrupted.open() as listing:
        listing.times = 1000
        gone = iter(range(100))
        listing.happen = lambda: netlink.run([links.delete_link(4096 + next(gone))]) and None
        with pytest.raises(KernelError, match="list links") as caught:
            link_names(listing)
        listing.times = 0

        assert caught.value.errno == errno.EINTR
        assert "lo" in link_names(listing)


def test_who_does_not_mind_gets_what_was_there_all_the_time(netlink: Netlink, many_links: int) -> None:
    with Interrupted.open() as listing:
        listing.times = 1000
        gone = iter(range(100))
        listing.happen = lambda: netlink.run([links.delete_link(4096 + next(gone))]) and None
        payloads = listing.dump(links.dump_links(), steady=False)

    found = {links.parse_link(payload).name for payload in payloads}
    assert found >= {"lo", *(f"port{n}" for n in range(50, 100))}


def test_open_where_one_may_not(node_ns: int) -> None:
    with open("/dev/null") as null, pytest.raises(KernelError) as caught:
        Netlink.open(null.fileno())

    assert caught.value.errno == errno.EINVAL


def test_sockets_are_not_inherited_and_close_twice(netlink: Netlink) -> None:
    assert not os.get_inheritable(netlink.fileno())
    netlink.close()
    netlink.close()
