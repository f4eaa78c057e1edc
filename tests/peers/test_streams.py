"""Streams between drivers of two nodes: in order, with backpressure, bound to the ends of both, carried on."""

from __future__ import annotations

import asyncio
import errno
import socket

import attrs
import grpc
import pytest

from meshnet.driver.context import LARGEST_MESSAGE
from meshnet.errors import LinkError, StreamEnded
from meshnet.peers.identity import Identity
from meshnet.peers.streams import About
from tests.peers.daemons import end, pair, run, until
from tests.peers.hostile import calling, refusal
from tests.peers.test_probe import refuse_sockets

LIMIT_S = 10.0
ENDS = ("wire", end("r1"), end("r2"))


async def echo(stream):
    while True:
        await stream.write(await stream.read())


async def drain(stream):
    while True:
        await stream.read()


async def opened(path, serve=echo, **times):
    one, two = await pair(path, **times)
    two.book.server = serve
    return one, two, await one.peers.open_stream(*ENDS, "b", limit_s=LIMIT_S)


def test_messages_come_as_they_are_and_in_order(tmp_path):
    async def main():
        _, two, stream = await opened(tmp_path)
        sent = [b"x", b"y" * 70_000, b"\x00" * LARGEST_MESSAGE, b"z"]
        for message in sent:
            await stream.write(message)
            assert await stream.read() == message
        ((driver, local, peer, _),) = two.book.streams
        assert (driver, local, peer) == ("wire", end("r2"), end("r1"))

    run(main)


@pytest.mark.parametrize("message", [b"", b"x" * (LARGEST_MESSAGE + 1)])
def test_what_is_no_message_is_not_sent_and_ends_nothing(tmp_path, message):
    async def main():
        _, _, stream = await opened(tmp_path)
        with pytest.raises(ValueError, match=f"a message of {len(message)} bytes"):
            await stream.write(message)
        await stream.write(b"still there")
        assert await stream.read() == b"still there"

    run(main)


@pytest.mark.parametrize("how", ["close", "server closes", "server returns", "server fails", "one stops", "two stops"])
def test_its_end_is_told_to_both(tmp_path, how, caplog):
    async def main():
        gone = asyncio.Event()

        async def serve(stream):
            try:
                first = await stream.read()
                if first == b"server closes":
                    stream.close()
                if first == b"server fails":
                    raise RuntimeError("on purpose")
                if first != b"server returns":
                    await stream.write(b"go on")
                    await stream.read()
            except StreamEnded:
                gone.set()
                raise

        one, two, stream = await opened(tmp_path, serve)
        await stream.write(how.encode())
        if how in ("close", "one stops", "two stops"):
            assert await stream.read() == b"go on"
        reading = asyncio.create_task(stream.read())
        await asyncio.sleep(0)
        if how == "close":
            stream.close()
            stream.close()
        elif how == "one stops":
            await one.peers.stop()
        elif how == "two stops":
            await two.peers.stop()
        with pytest.raises(StreamEnded):
            await reading
        for again in (stream.read(), stream.write(b"x")):
            with pytest.raises(StreamEnded):
                await again
        if how not in ("server returns", "server fails"):
            await gone.wait()
        assert ("failed at the stream" in caplog.text) is (how == "server fails")
        await until(lambda: not two.peers._streams._served)

    run(main)


def test_who_writes_waits_for_who_reads(tmp_path):
    async def main():
        go = asyncio.Event()
        seen = []

        async def serve(stream):
            await go.wait()
            while True:
                seen.append(await stream.read())

        _, _, stream = await opened(tmp_path, serve)
        sent = 0

        async def fill():
            nonlocal sent
            while sent < 200:
                await stream.write(bytes([sent]) * (1 << 20))
                sent += 1

        filling = asyncio.create_task(fill())
        await asyncio.sleep(0.5)
        stuck = sent
        assert stuck < 20
        go.set()
        await filling
        await until(lambda: len(seen) == 200)
        assert [message[0] for message in seen] == list(range(200))

    run(main)


def test_a_wire_that_is_stuck_delays_neither_another_nor_the_session(tmp_path):
    async def main():
        async def serve(stream):
            if await stream.read() == b"stuck":
                await asyncio.sleep(1000)
            await stream.write(b"answer")
            await echo(stream)

        one, _, stuck = await opened(tmp_path, serve)
        await stuck.write(b"stuck")

        async def fill():
            while True:
                await stuck.write(b"x" * (1 << 20))

        filling = asyncio.create_task(fill())
        await asyncio.sleep(0.3)
        stream = await one.peers.open_stream(*ENDS, "b", limit_s=LIMIT_S)
        await stream.write(b"free")
        assert await stream.read() == b"answer"
        await asyncio.sleep(1.5)
        assert {contact.value for _, contact, _ in one.book.contacts} == {"live"}
        filling.cancel()
        await asyncio.wait({filling})

    run(main)


def test_more_streams_than_connections(tmp_path):
    async def main():
        one, two = await pair(tmp_path)
        two.book.server = echo

        async def use(number):
            stream = await one.peers.open_stream("wire", end(f"l{number}"), end(f"p{number}"), "b", limit_s=LIMIT_S)
            for count in range(5):
                await stream.write(f"{number} {count}".encode())
                assert await stream.read() == f"{number} {count}".encode()
            return stream

        streams = await asyncio.gather(*map(use, range(80)))
        pool = one.peers._pools._pools["b"]
        assert len(pool._lanes) == 64
        assert sorted(lane.calls for lane in pool._lanes) == [1] * 48 + [2] * 16
        for stream in streams:
            stream.close()
        await until(lambda: not pool._lanes and not pool._held and not two.peers._streams._served)

    run(main)


def test_who_is_not_admitted_is_refused_and_counted(tmp_path, caplog):
    async def main():
        one, two = await pair(tmp_path)
        two.book.refuse = "r1 runs on node c"
        with pytest.raises(LinkError, match="r1 runs on node c") as caught:
            await one.peers.open_stream(*ENDS, "b", limit_s=LIMIT_S)
        assert caught.value.reason == "StreamRefused"
        assert two.refused() == {"StreamRefused": 1}
        assert "node a, driver wire, from default/r1:eth1 to default/r2:eth1: r1 runs on node c" in caplog.text
        assert two.book.streams == []

    run(main)


def test_who_is_not_admitted_yet_waits(tmp_path):
    async def main():
        one, two = await pair(tmp_path)
        two.book.refuse = "NotYet: r2 has no patch"
        two.book.server = echo
        opening = asyncio.create_task(one.peers.open_stream(*ENDS, "b", limit_s=LIMIT_S))
        await asyncio.sleep(0.3)
        assert not opening.done()
        two.book.refuse = ""
        stream = await opening
        await stream.write(b"x")
        assert await stream.read() == b"x"
        assert two.refused() == {}

    run(main)


def test_who_has_too_many_is_refused_by_a_node_that_was_reached(tmp_path, monkeypatch):
    monkeypatch.setattr("meshnet.peers.stream_calls.MOST_STREAMS", 0)

    async def main():
        one, two = await pair(tmp_path)
        with pytest.raises(LinkError, match="node a has 0 streams") as caught:
            await one.peers.open_stream(*ENDS, "b", limit_s=0.5)
        assert caught.value.reason == "PeerNotReady"
        assert two.refused()["TooManyStreams"] > 0

    run(main)


def test_a_node_that_cannot_be_reached_is_an_error_in_the_end(tmp_path):
    async def main():
        one, two = await pair(tmp_path)
        with pytest.raises(LinkError, match="no record of node c") as caught:
            await one.peers.open_stream(*ENDS, "c", limit_s=2.0)
        assert caught.value.reason == "PeerUnreachable"
        await two.peers.stop()
        with pytest.raises(LinkError, match="node b refuses connections at") as caught:
            await one.peers.open_stream(*ENDS, "b", limit_s=2.0)
        assert caught.value.reason == "PeerUnreachable"

    run(main)


def test_a_daemon_that_has_left_the_others_opens_nothing_to_them(tmp_path):
    """Its drivers go on for a moment, and open what ended anew at once."""

    async def main():
        one, two = await pair(tmp_path)
        two.book.refuse = "NotYet: r2 has no patch"
        opening = asyncio.create_task(one.peers.open_stream(*ENDS, "b", limit_s=1.0))
        await asyncio.sleep(0.2)
        await one.peers.stop()
        two.book.refuse = ""
        one.peers.want(frozenset({"b", "c"}))
        assert one.peers.contacts() == {}
        for late in (opening, one.peers.open_stream(*ENDS, "b", limit_s=0.2)):
            with pytest.raises(LinkError, match="this daemon is stopping") as caught:
                await late
            assert caught.value.reason == "PeerUnreachable"
        assert two.book.streams == []

    run(main)


def test_a_try_that_gets_no_answer_ends_with_the_time_for_all(tmp_path, monkeypatch):
    """A node that takes connections and says nothing more: a try alone would take longer than all may."""
    monkeypatch.setattr("meshnet.peers.pool._OPEN_S", 40.0)

    async def main():
        one, two = await pair(tmp_path)
        await two.peers.stop()
        silent = socket.create_server(("127.0.0.1", 0))
        one.peers.record("b", two.record(port=silent.getsockname()[1]))
        with silent, pytest.raises(LinkError, match=r"node b has not answered for 0\.5 s") as caught:
            await one.peers.open_stream(*ENDS, "b", limit_s=0.5)
        assert caught.value.reason == "PeerUnreachable"

    run(main)


def test_a_node_that_this_one_has_no_socket_for_is_unreachable_and_it_is_told_why(tmp_path, monkeypatch):
    async def main():
        one, two = await pair(tmp_path)
        refuse_sockets(monkeypatch, errno.EAFNOSUPPORT)
        one.peers.record("b", two.record(addresses=("::1",)))
        with pytest.raises(LinkError, match=r"at ::1, .* \(this node has no socket for it: Address family") as caught:
            await one.peers.open_stream(*ENDS, "b", limit_s=2.0)
        assert caught.value.reason == "PeerUnreachable"

    run(main)


def moved(daemon):
    """Tell whether its streams go over connections that may stay."""
    pools = daemon.peers._pools
    lanes = pools._pools["b"]._lanes
    return all(lane.way.goes_on(pools._way("b")) for lane in lanes)


def renewed(daemon):
    """Tell whether a daemon lets in what its peers show now, and nothing is left that they showed before."""
    pins, callers = daemon.peers._pins, daemon.peers._door._calls.values()
    current = all(caller.mark == next(iter(pins.of(caller.node))) for caller in callers)
    return bool(callers) and current and daemon.lets_in_who_it_knows


def test_a_renewal_of_both_certificates_loses_no_message_and_no_session(tmp_path):
    async def main():
        one, two, stream = await opened(tmp_path)
        sent = read = 0
        going = True

        async def write():
            nonlocal sent
            while going:
                await stream.write(sent.to_bytes(4, "big") + b"x" * 20_000)
                sent += 1

        async def follow():
            nonlocal read
            while True:
                message = await stream.read()
                assert int.from_bytes(message[:4], "big") == read
                read += 1

        writing, reading = asyncio.create_task(write()), asyncio.create_task(follow())
        old = {daemon.name: daemon.identity.current for daemon in (one, two)}
        for daemon, other in ((one, two), (two, one), (one, two), (two, one)):
            daemon.identity.rotate()
            for _ in range(3):
                other.peers.record(daemon.name, daemon.record())
                so_far = read
                await until(lambda at=so_far: read > at + 20 and moved(one) and renewed(one) and renewed(two))
                daemon.advance()
            assert len(daemon.identity.certificates()) == 1
        for daemon, other in ((one, two), (two, one)):
            other.peers.record(daemon.name, daemon.record())
        await until(lambda: len(one.peers._pools._pools["b"]._lanes) == 1)
        going = False
        await writing
        await until(lambda: read == sent)
        reading.cancel()
        await asyncio.wait({reading})
        for daemon in (one, two):
            assert daemon.identity.current != old[daemon.name]
            assert {contact.value for _, contact, _ in daemon.book.contacts} == {"live"}
            assert daemon.refused() == {}
        assert len(two.book.streams) == 1

    run(main)


def test_a_stream_goes_over_where_connections_are_shared_that_were_opened_before_a_renewal(tmp_path, monkeypatch):
    """They know the certificate that comes into use, but began with the one before."""
    monkeypatch.setattr("meshnet.peers.pool.MOST_CHANNELS", 1)

    async def main():
        one, two = await pair(tmp_path)
        two.book.server = echo
        two.identity.rotate()
        one.peers.record("b", two.record())
        stream = await one.peers.open_stream(*ENDS, "b", limit_s=LIMIT_S)
        two.advance()
        one.peers.record("b", two.record())
        async with asyncio.timeout(5):
            while not moved(one) or len(one.peers._pools._pools["b"]._lanes) > 1:
                await stream.write(b"x")
                assert await stream.read() == b"x"

    run(main)


def test_a_stream_is_carried_on_once_however_often_its_way_is_looked_at(tmp_path, monkeypatch):
    """While its peer is away, every change of that node's record has it looked at."""

    async def main():
        one, two, stream = await opened(tmp_path)
        pool = one.peers._pools._pools["b"]
        calls = []
        call, gone = pool._call, asyncio.Event()

        async def counted(*args):
            calls.append(args)
            await gone.wait()
            return await call(*args)

        monkeypatch.setattr(pool, "_call", counted)
        one.identity.rotate()
        two.peers.record("a", one.record())
        await asyncio.sleep(0.2)
        one.advance()
        for _ in range(5):
            one.peers._pools.check("b")
            await asyncio.sleep(0.01)
        gone.set()
        while not moved(one) or pool._tasks:
            await stream.write(b"x")
            assert await stream.read() == b"x"
        assert len(calls) == 1

    run(main)


def test_a_stream_is_carried_on_after_a_call_that_was_to_do_it_was_given_up(tmp_path, monkeypatch):
    """As when a busy daemon has not answered it in time."""

    async def main():
        async def never_sent(sending):
            monkeypatch.undo()
            asked.set()
            try:
                await asyncio.sleep(60)
            finally:
                await sending

        one, two, stream = await opened(tmp_path)
        await until(lambda: two.peers._streams._served)
        (name,) = two.peers._streams._served
        asked = asyncio.Event()
        monkeypatch.setattr("meshnet.peers.stream_calls.begun", never_sent)
        about = attrs.evolve(About(*ENDS), carries_on=name)
        async with calling(two, one.identity, "Stream", metadata=about.metadata()):
            await asked.wait()
        await until(lambda: len(two.peers._door._calls) == 2)
        one.identity.rotate()
        two.peers.record("a", one.record())
        await asyncio.sleep(0.2)
        one.advance()
        async with asyncio.timeout(5):
            while not moved(one) or one.peers._pools._pools["b"]._tasks:
                await stream.write(b"x")
                assert await stream.read() == b"x"

    run(main)


def test_who_cannot_carry_a_stream_on_loses_it(tmp_path, caplog):
    async def main():
        one, two, stream = await opened(tmp_path)
        pools = one.peers._pools
        (held,) = pools._pools["b"]._held
        held.about = About(held.about.driver, held.about.local, held.about.peer, carries_on="another")
        one.identity.rotate()
        two.peers.record("a", one.record())
        await asyncio.sleep(0.2)
        one.advance()
        with pytest.raises(StreamEnded):
            await stream.read()
        assert two.refused() == {"StreamUnknown": 1}
        assert "could not be carried on" in caplog.text

    run(main)


@pytest.mark.parametrize("side", ["a", "b"])
def test_a_pin_that_is_removed_ends_the_streams_of_its_node(tmp_path, side):
    async def main():
        one, two, stream = await opened(tmp_path)
        (one if side == "a" else two).peers.record("b" if side == "a" else "a", None)
        with pytest.raises(StreamEnded):
            await stream.read()
        await until(lambda: not two.peers._streams._served)
        assert (two.refused().get("PinRemoved", 0) > 0) is (side == "b")

    run(main)


async def opening(one, two, monkeypatch):
    """A stream that `two` has not answered yet, and what lets it."""
    asked, answers = asyncio.Event(), asyncio.Event()

    async def later(sending):
        asked.set()
        await answers.wait()
        await sending

    monkeypatch.setattr("meshnet.peers.stream_calls.begun", later)
    task = asyncio.create_task(one.peers.open_stream(*ENDS, "b", limit_s=LIMIT_S))
    await asked.wait()
    monkeypatch.undo()
    return task, answers


def test_a_pin_that_is_removed_while_a_stream_is_opened_ends_it(tmp_path, monkeypatch):
    async def main():
        one, two = await pair(tmp_path)
        two.book.server = echo
        task, answers = await opening(one, two, monkeypatch)
        one.peers.record("b", None)
        answers.set()
        stream = await task
        with pytest.raises(StreamEnded):
            await stream.read()

    run(main)


def test_a_stream_that_is_opened_while_a_certificate_is_renewed_is_carried_on(tmp_path, monkeypatch):
    """It would end with the certificate, ten minutes later."""

    async def main():
        one, two = await pair(tmp_path)
        two.book.server = echo
        one.identity.rotate()
        two.peers.record("a", one.record())
        await until(lambda: two.lets_in_who_it_knows)
        task, answers = await opening(one, two, monkeypatch)
        one.advance()
        answers.set()
        stream = await task
        async with asyncio.timeout(5):
            while not moved(one):
                await stream.write(b"x")
                assert await stream.read() == b"x"

    run(main)


def test_a_pin_that_is_removed_ends_a_stream_once_however_long_its_driver_takes(tmp_path):
    async def main():
        async def serve(_):
            await asyncio.sleep(1000)

        _, two, _ = await opened(tmp_path, serve)
        await until(lambda: two.peers._streams._served)
        calls = len(two.peers._door._calls)
        for _ in range(5):
            two.peers.record("a", None)
            await asyncio.sleep(0.05)
        assert two.refused()["PinRemoved"] == calls
        assert two.peers._streams._served

    run(main)


def test_a_pin_that_is_replaced_ends_the_streams_to_its_node(tmp_path):
    """Whoever has the old key is nobody now; the node's own daemon, with the new one, opens others."""

    async def main():
        one, two, stream = await opened(tmp_path)
        other = Identity(tmp_path / "other", "b")
        one.peers.record("b", two.record(certificates=other.certificates()))
        async with asyncio.timeout(1):
            with pytest.raises(StreamEnded):
                await stream.read()

    run(main)


@pytest.mark.parametrize("who", ["another node", "another link"])
def test_nobody_else_carries_a_stream_on(tmp_path, who):
    async def main():
        one, two, _ = await opened(tmp_path)
        await until(lambda: two.peers._streams._served)
        ((name, served),) = two.peers._streams._served.items()
        about, caller = attrs.evolve(served.about, carries_on=name), one.identity
        if who == "another node":
            caller = Identity(tmp_path / "x", "x")
            await two.lets_in(caller)
        else:
            about = attrs.evolve(about, local=end("other"))
        async with calling(two, caller, "Stream", metadata=about.metadata()) as call:
            code, _ = await refusal(call)
        assert code is grpc.StatusCode.PERMISSION_DENIED
        assert two.refused() == {"StreamUnknown": 1}

    run(main)
