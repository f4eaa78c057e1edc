"""Driver grpcwire: what it declares, its settings, and when it tries again."""

import asyncio
import errno
import itertools
import logging
import os

import pytest
from meshnet_grpcwire import GrpcwireDriver
from meshnet_grpcwire.counters import Counters
from meshnet_grpcwire.opener import LONGEST_DELAY_S, SOON_S, SOON_TRIES, back_off
from meshnet_grpcwire.path import Path
from meshnet_grpcwire.port_socket import why_unusable
from meshnet_grpcwire.settings import RECEIVE_BUFFER, receive_buffer

from meshnet.driver import AcceptsStreams, Counts, DriverContext, LinkError, Underlay
from meshnet.driver.declaration import declaration_problems
from meshnet.model.topology import Endpoint

END = Endpoint("default", "r1", "eth1")


def context(settings=()):
    return DriverContext("n1", None, logging.getLogger(), None, None, None, Underlay(1500, 4), dict(settings))


def test_its_declaration_is_right():
    assert declaration_problems(GrpcwireDriver) == []
    assert isinstance(GrpcwireDriver(), AcceptsStreams)
    assert isinstance(GrpcwireDriver(), Counts)


@pytest.mark.parametrize("mtu", [1280, 1500, 9000])
def test_any_underlay_carries_jumbo_frames(mtu):
    assert GrpcwireDriver().mtu_limit(Underlay(mtu, 4)) == 9500


def test_an_end_that_was_never_patched_has_counted_nothing():
    counted = asyncio.run(GrpcwireDriver().counters(END))

    assert counted["sent_frames"] == 0
    assert set(counted.values()) == {0}


def test_what_the_kernel_refuses_is_counted_by_reason():
    counters = Counters()
    for number in (errno.EMSGSIZE, errno.ENOBUFS, errno.EAGAIN, errno.EINVAL, None):
        counters.refused(number)

    counted = {name: count for name, count in counters.as_dict().items() if count}
    assert counted == {
        "received_dropped_too_long": 1, "received_dropped_queue_full": 2, "received_dropped_refused": 2
    }  # fmt: skip


def test_its_setting_has_a_default_and_is_read():
    assert receive_buffer({}) == 8 << 20
    assert receive_buffer({"receive_buffer": "1048576"}) == 1 << 20


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"receive_buffer": "8M"}, "MESHNET_GRPCWIRE_RECEIVE_BUFFER: '8M': bytes, 65536 to 268435456"),
        ({"receive_buffer": "1"}, "MESHNET_GRPCWIRE_RECEIVE_BUFFER: '1': bytes"),
    ],
)
def test_a_wrong_setting_keeps_it_from_starting(given, said):
    ctx = context(given)
    with pytest.raises(LinkError, match=said) as caught:
        asyncio.run(GrpcwireDriver().start(ctx))
    assert (caught.value.reason, caught.value.retry) == ("InvalidSetting", False)


def test_a_name_that_is_no_setting_is_ignored():
    """As the daemon ignores it: a setting of a later version harms no earlier one."""
    assert receive_buffer({"buffer": "1"}) == RECEIVE_BUFFER


def test_a_daemon_without_packet_sockets_cannot_use_it(monkeypatch):
    def refused(*args):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr("meshnet_grpcwire.port_socket._deaf_socket", refused)
    ctx = context()

    with pytest.raises(LinkError, match="packet sockets are refused: Operation not permitted; the daemon needs"):
        asyncio.run(GrpcwireDriver().start(ctx))


def test_it_tries_again_at_once_and_then_ever_more_slowly():
    first, *later = itertools.islice(back_off(), SOON_TRIES + 12)

    assert first == 0
    assert later[0] <= 0.1
    assert all(delay <= SOON_S for delay in later[:SOON_TRIES])
    assert all(LONGEST_DELAY_S / 2 <= delay <= LONGEST_DELAY_S for delay in later[SOON_TRIES + 5 :])


def told(*steps):
    """What a path with a short grace tells, when these happen one after the other."""

    async def played():
        said = []
        path = Path(said.append, grace_s=0.02, first_s=0.02)
        for step in steps:
            await step(path)
        path.close()
        return said

    return asyncio.run(played())


async def back(path):
    path.back()


async def lost(path):
    path.lost("StreamLost")


async def refused(path):
    path.lost("StreamRefused")


async def long(path):
    await asyncio.sleep(0.06)


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ([back, long], []),
        ([long], ["StreamLost"]),
        ([refused, long], ["StreamRefused"]),
        ([back, lost, back, long], []),
        ([back, lost, refused, refused, long], ["StreamRefused"]),
        ([long, refused, refused], ["StreamLost", "StreamRefused"]),
        ([long, back, back], ["StreamLost", ""]),
        ([long, back, lost, back, long], ["StreamLost", ""]),
        ([back, lost], []),
    ],
)
def test_a_path_tells_what_lasts(steps, said):
    assert told(*steps) == said


def test_a_path_that_was_there_once_has_the_whole_grace():
    async def main():
        said = []
        path = Path(said.append, grace_s=5, first_s=0.02)
        path.back()
        path.lost("StreamLost")
        await asyncio.sleep(0.1)
        path.close()
        return said

    assert asyncio.run(main()) == []


@pytest.mark.parametrize(
    ("number", "why"),
    [
        (errno.EPERM, "packet sockets are refused: Operation not permitted; the daemon needs the capability NET_RAW"),
        (errno.EAFNOSUPPORT, "packet sockets are refused: Address family not supported by protocol"),
        (errno.ENFILE, None),
        (errno.ENOBUFS, None),
    ],
)
def test_it_is_usable_where_packet_sockets_are_only_short_just_now(number, why, monkeypatch):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("meshnet_grpcwire.port_socket.socket.socket", refuse)
    told = why_unusable()
    assert told is None if why is None else told.startswith(why)
