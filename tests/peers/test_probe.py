"""Asking whether a node answers."""

import asyncio
import contextlib
import errno
import fcntl
import os
import resource
import socket

import pytest

from meshnet.peers.probe import Answer, Probed, probe

ADDRESS = "127.0.0.1"


def refuse_sockets(monkeypatch, number):
    """Refuse sockets of IPv6, as a kernel does that has none, or that has none left."""
    made = socket.socket

    def make(family=socket.AF_INET, *args, **named):
        if family == socket.AF_INET6:
            raise OSError(number, os.strerror(number))
        return made(family, *args, **named)

    monkeypatch.setattr("meshnet.peers.probe.socket.socket", make)


def test_who_takes_who_refuses_and_whose_address_is_none():
    async def main():
        with socket.create_server((ADDRESS, 0)) as server:
            port = server.getsockname()[1]
            assert await probe([ADDRESS], port) == Probed(Answer.TAKEN, ADDRESS)
        assert await probe([ADDRESS], port) == Probed(Answer.REFUSED, ADDRESS)
        assert await probe(["no address"], port) == Probed(Answer.NOTHING, "no address")

    asyncio.run(main())


@pytest.fixture
def silent_port():
    """A port of a node that answers nothing: a queue that is full drops every SYN."""
    with contextlib.ExitStack() as held:
        listener = held.enter_context(socket.create_server((ADDRESS, 0), backlog=0))
        for _ in range(4):
            sock = held.enter_context(socket.socket())
            sock.setblocking(False)
            sock.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


@pytest.fixture
def _many_descriptors(monkeypatch):
    """A process that has so many open that new sockets have high numbers."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    made = socket.socket

    def make(*args):
        with made(*args) as low:
            return made(fileno=fcntl.fcntl(low, fcntl.F_DUPFD_CLOEXEC, 1 << 10))

    monkeypatch.setattr("meshnet.peers.probe.socket.socket", make)
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("_many_descriptors")
def test_a_daemon_with_many_descriptors_can_tell_that_a_node_does_not_answer(silent_port):
    assert asyncio.run(probe([ADDRESS], silent_port)) == Probed(Answer.NOTHING, ADDRESS)


@pytest.mark.parametrize(
    ("number", "answer", "told"),
    [
        (errno.EAFNOSUPPORT, Answer.NOTHING, "does not answer"),
        (errno.EMFILE, Answer.UNASKED, "cannot be asked"),
        (errno.ENFILE, Answer.UNASKED, "cannot be asked"),
        (errno.ENOBUFS, Answer.UNASKED, "cannot be asked"),
    ],
)
def test_a_node_that_this_one_has_no_socket_for_is_told_of_with_why(monkeypatch, number, answer, told):
    """What this node has run out of is no silence of the other one; what it never has is."""

    async def main():
        refuse_sockets(monkeypatch, number)
        found = await probe(["::1"], 1)
        assert found == Probed(answer, "::1", f"this node has no socket for it: {os.strerror(number)}")
        assert found.told("n2", 1) == f"node n2 {told} at ::1, TCP port 1 ({found.why})"
        assert (await probe(["no address", "::1"], 1)).answer is answer
        with socket.create_server((ADDRESS, 0)) as server:
            port = server.getsockname()[1]
            assert await probe(["::1", ADDRESS], port) == Probed(Answer.TAKEN, ADDRESS)
        assert await probe(["::1", ADDRESS], port) == Probed(Answer.REFUSED, ADDRESS)

    asyncio.run(main())


def test_a_connection_that_this_node_has_no_memory_for_says_nothing(monkeypatch):
    async def main():
        async def refuse(*_):
            raise OSError(errno.ENOBUFS, os.strerror(errno.ENOBUFS))

        monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", refuse)
        assert await probe([ADDRESS], 1) == Probed(Answer.UNASKED, ADDRESS)

    asyncio.run(main())


def test_a_port_that_is_none_does_not_answer():
    assert asyncio.run(probe([ADDRESS], 70000)) == Probed(Answer.NOTHING, ADDRESS)


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
