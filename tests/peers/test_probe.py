"""Asking whether a node answers."""

import asyncio
import contextlib
import socket

import pytest

from meshnet.peers.probe import Answer, Probed, probe

ADDRESS = "127.0.0.1"


def test_who_takes_who_refuses_and_whose_address_is_none():
    async def main():
        with socket.create_server((ADDRESS, 0)) as server:
            port = server.getsockname()[1]
            assert await probe([ADDRESS], port) == Probed(Answer.TAKEN, ADDRESS)
        assert await probe([ADDRESS], port) == Probed(Answer.REFUSED, ADDRESS)
        assert await probe(["no address"], port) == Probed(Answer.NOTHING, "no address")

    asyncio.run(main())


@pytest.mark.parametrize("turns", range(8))
def test_who_is_cancelled_just_when_the_connection_stands_is_cancelled(turns, monkeypatch):
    """Else a session goes on after its daemon was stopped, and the daemon waits for its end for ever."""

    async def main():
        connected = asyncio.get_running_loop().create_future()
        monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", lambda *_: connected)

        async def go_on():
            await probe([ADDRESS], 1)
            await asyncio.sleep(3600)

        task = asyncio.create_task(go_on())
        await asyncio.sleep(0.01)
        connected.set_result(None)
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()

        done, _ = await asyncio.wait({task}, timeout=1.0)
        with contextlib.suppress(asyncio.CancelledError):
            task.cancel()
            await task
        assert done

    asyncio.run(main())
