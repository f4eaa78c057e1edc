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
def silent_listener():
    """A port of a node that answers nothing: a queue that is full drops every SYN."""
    with contextlib.ExitStack() as held:
        listener = held.enter_context(socket.create_server((ADDRESS, 0), backlog=0))
        for _ in range(4):
            sock = held.enter_context(socket.socket())
            sock.setblocking(False)
            sock.connect_ex(listener.getsockname())
        yield listener


@pytest.fixture
def silent_port(silent_listener):
    return silent_listener.getsockname()[1]


def test_a_node_whose_answer_takes_a_while_is_waited_for(monkeypatch):
    """By a satellite an answer takes longer than until the next attempt."""

    async def main():
        loop = asyncio.get_running_loop()
        connect = loop.sock_connect

        async def by_satellite(*asked):
            await asyncio.sleep(0.7)
            await connect(*asked)

        monkeypatch.setattr(loop, "sock_connect", by_satellite)
        with socket.create_server((ADDRESS, 0)) as server:
            port = server.getsockname()[1]
            found = await probe([ADDRESS], port)
            assert found == Probed(Answer.TAKEN, ADDRESS)
            assert found.took_s >= 0.7
        assert (await probe([ADDRESS], port)).answer is Answer.REFUSED

    asyncio.run(main())


def test_a_silent_node_is_asked_by_more_than_one_attempt(silent_listener, monkeypatch):
    """The kernel's own next SYN comes after a second: too late for a link that is to be back by then."""

    async def main():
        loop = asyncio.get_running_loop()
        connect, attempts = loop.sock_connect, []
        monkeypatch.setattr(loop, "sock_connect", lambda sock, to: attempts.append(to) or connect(sock, to))
        silent = silent_listener.getsockname()
        assert await probe([ADDRESS], silent[1]) == Probed(Answer.NOTHING, ADDRESS)
        assert attempts == [silent] * 3

        asking = asyncio.create_task(probe([ADDRESS], silent[1]))
        await asyncio.sleep(0.1)
        silent_listener.listen(64)
        assert await asking == Probed(Answer.TAKEN, ADDRESS)

    asyncio.run(main())


def test_an_address_that_is_silent_gives_way_to_one_that_is_not(silent_listener):
    port = silent_listener.getsockname()[1]
    assert asyncio.run(probe([ADDRESS, "127.0.0.2"], port)) == Probed(Answer.REFUSED, "127.0.0.2")
    with socket.create_server(("127.0.0.2", port)):
        assert asyncio.run(probe([ADDRESS, "127.0.0.2"], port)) == Probed(Answer.TAKEN, "127.0.0.2")


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
