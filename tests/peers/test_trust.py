"""Whom the server lets in follows the pins, without a connection being lost or the process being hurt."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading

import grpc
import pytest

from meshnet.peers.identity import Identity
from tests.peers.daemons import pair, run, started, until
from tests.peers.hostile import calling, hello, refusal


async def taken(daemon, identity):
    async with calling(daemon, identity) as call:
        try:
            await call.write(hello(identity.node))
            return isinstance(await call.read(), bytes)
        except grpc.aio.AioRpcError:
            return False


def test_it_follows_every_change_of_a_pin(tmp_path):
    async def main():
        daemon = await started(tmp_path, "b")
        callers = {name: Identity(tmp_path / name, name) for name in ("c", "d")}
        for known in ("c", "d", "cd", "", "d"):
            for name, identity in callers.items():
                daemon.peers.record(
                    name, daemon.record(certificates=identity.certificates()) if name in known else None
                )
            await until(lambda: daemon.lets_in_who_it_knows)
            for name, identity in callers.items():
                assert await taken(daemon, identity) is (name in known), (known, name)

    run(main)


def test_a_record_that_says_the_same_certificates_replaces_nothing(tmp_path):
    async def main():
        one, two = await pair(tmp_path)
        await until(lambda: one.lets_in_who_it_knows)
        before = one.peers.connections
        for number in range(50):
            one.peers.record("b", two.record(version=str(number)))
        await asyncio.sleep(0.3)
        assert one.peers.connections == before

    run(main)


def test_nodes_that_come_up_one_by_one_are_let_in_together(tmp_path):
    async def main():
        daemon = await started(tmp_path, "b")
        callers = [Identity(tmp_path / f"c{number}", f"c{number}") for number in range(50)]
        for identity in callers:
            daemon.peers.record(identity.node, daemon.record(certificates=identity.certificates()))
            await asyncio.sleep(0.01)
        await until(lambda: daemon.lets_in_who_it_knows)
        assert daemon.peers.connections / 2 <= 10  # two a replacement
        assert await taken(daemon, callers[0])
        assert await taken(daemon, callers[-1])

    run(main)


def test_a_node_that_comes_up_alone_waits_for_no_other(tmp_path, monkeypatch):
    monkeypatch.setattr("meshnet.peers.trust._TOGETHER_S", 3600.0)

    async def main():
        daemon = await started(tmp_path, "b")
        await daemon.lets_in(Identity(tmp_path / "a", "a"))

    run(main)


@pytest.mark.timeout(180)
def test_certificates_change_while_many_connect(tmp_path):
    async def main():
        daemon = await started(tmp_path, "b")
        callers = [Identity(tmp_path / name, name) for name in ("c", "d")]
        going = True

        def scan():
            while going:
                with (
                    contextlib.suppress(OSError),
                    socket.create_connection(("127.0.0.1", daemon.peers.port), 5) as sock,
                ):
                    sock.sendall(b"nonsense")

        threads = [threading.Thread(target=scan) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            for number in range(20):
                identity = callers[number % 2]
                await daemon.lets_in(identity, "c")
        finally:
            going = False
            for thread in threads:
                await asyncio.to_thread(thread.join)
        await daemon.lets_in(callers[0], "c")
        assert await taken(daemon, callers[0])

    run(main)


@pytest.mark.parametrize(
    ("error", "told"), [(OSError("nothing is there"), "nothing is there"), (TimeoutError(), "the server is busy")]
)
def test_a_server_that_cannot_be_reached_meanwhile_is_tried_again(tmp_path, caplog, error, told):
    async def main():
        daemon, caller = await started(tmp_path, "b"), Identity(tmp_path / "a", "a")
        trust = daemon.peers._trust
        hold, trust._hold = trust._hold, broken
        daemon.peers.record("a", daemon.record(certificates=caller.certificates()))
        await until(lambda: f"cannot be used yet: {told}" in caplog.text)
        assert not await taken(daemon, caller)
        trust._hold = hold
        await until(lambda: daemon.lets_in_who_it_knows)
        assert await taken(daemon, caller)
        assert len([record for record in caplog.records if "cannot be used yet" in record.getMessage()]) == 1

    async def broken(address, port):
        raise error

    run(main)


def test_a_refusal_is_no_call(tmp_path):
    async def main():
        daemon = await started(tmp_path, "b")
        async with calling(daemon, Identity(tmp_path / "x", "x")) as call:
            assert (await refusal(call, hello("x")))[0] is grpc.StatusCode.UNAVAILABLE
        assert (daemon.peers.connections, daemon.peers.refused()) == (1, {})

    run(main)
