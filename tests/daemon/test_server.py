"""The local socket: who may call, and what no caller can do to it."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import socket
import struct

import pytest

from meshnet.cni.frame import MAX_ENV, MAX_TOTAL, VERSION, decode_reply, encode_reply, encode_request
from meshnet.daemon import connection, server
from meshnet.daemon.server import LocalServer
from meshnet.errors import InvalidObject
from tests.daemon.callers import code_of, exchange

REQUEST = encode_request({"MESHNET_QUERY": "health"}, b"body")


class Room:
    """A server that answers how many descriptors came, and what."""

    def __init__(self, path):
        self.path = path
        self.calls = []
        self.hold = None
        self.server = LocalServer(path, self.answer)

    async def answer(self, call):
        self.calls.append(call.frame)
        if self.hold is not None:
            await self.hold.wait()
        if call.frame.env.get("MESHNET_QUERY") == "break":
            raise RuntimeError("on purpose")
        return encode_reply(0, json.dumps([call.frame.env, call.frame.body.decode(), len(call.descriptors)]))

    async def exchange(self, *pieces, **more):
        return await asyncio.to_thread(exchange, self.path, *pieces, **more)

    async def works(self):
        return decode_reply(await self.exchange(REQUEST)).code == 0

    async def idle(self):
        await until(lambda: not self.server._calls)


async def until(holds):
    for _ in range(1000):
        if holds():
            return
        await asyncio.sleep(0.01)
    raise TimeoutError


@pytest.fixture
def served(tmp_path):
    """Run a coroutine function with a served room; afterwards nothing is open that was not before."""

    def run(main):
        async def all_of_it():
            room = Room(tmp_path / "sock")
            room.server.start()
            try:
                await main(room)
            finally:
                await room.server.stop(grace_s=1)
            await asyncio.sleep(0)
            assert not room.server._calls

        before = descriptors()
        asyncio.run(all_of_it())
        assert descriptors() == before

    return run


def test_a_call_that_is_cut_off_has_ended_when_the_server_has(served):
    """An ADD takes back what it made, with what is closed after the server."""
    ended = []

    async def main(room):
        room.hold = Undone(ended)
        asking = asyncio.create_task(room.exchange(REQUEST))
        await until(lambda: room.calls)
        await room.server.stop(grace_s=0.05)
        assert ended == ["undone"]
        await asking

    served(main)


class Undone:
    """What a call waits for that is taken back in time when it is cancelled."""

    def __init__(self, ended):
        self.ended = ended

    async def wait(self):
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.01)
            self.ended.append("undone")


@pytest.fixture
def null():
    """A descriptor to send along."""
    with open("/dev/null") as file:
        yield file.fileno()


def descriptors():
    return sorted(os.listdir("/proc/self/fd"))[:-1]


def test_a_call_is_answered(served):
    async def main(room):
        reply = decode_reply(await room.exchange(REQUEST))
        assert (reply.code, json.loads(reply.body)) == (0, [{"MESHNET_QUERY": "health"}, "body", 0])

    served(main)


def test_in_pieces_of_any_size(served):
    async def main(room):
        for size in (1, 3, 7):
            pieces = [REQUEST[at : at + size] for at in range(0, len(REQUEST), size)]
            assert decode_reply(await room.exchange(*pieces)).code == 0

    served(main)


def test_only_root_and_its_own_user_may_call(served, tmp_path, monkeypatch, caplog):
    async def main(room):
        assert oct((tmp_path / "sock").stat().st_mode & 0o777) == "0o600"
        monkeypatch.setattr(server.Connection, "caller", lambda self: 54321)
        assert await room.exchange(REQUEST) == b""
        assert room.calls == []
        assert "54321" in caplog.text
        monkeypatch.undo()
        assert await room.works()

    served(main)


def test_the_caller_is_who_the_kernel_says(tmp_path):
    ours, theirs = socket.socketpair()
    with theirs, connection.Connection(ours) as accepted:
        assert accepted.caller() == os.geteuid()


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"\0",
        b"GET / HTTP/1.0\r\n\r\n",
        bytes([VERSION + 1]) + REQUEST[1:],
        REQUEST[:-1],
        REQUEST + b"x",
        struct.pack("<BII", VERSION, MAX_TOTAL + 1, 0),
        struct.pack("<BII", VERSION, 0xFFFFFFFF, 0xFFFFFFFF),
        struct.pack("<BII", VERSION, MAX_TOTAL, MAX_ENV + 1),
        struct.pack("<BII", VERSION, 3, 3) + b"abc",
        struct.pack("<BII", VERSION, 4, 4) + b"abc\0",
        struct.pack("<BII", VERSION, 10, 0) + b"xyz",
    ],
)
def test_garbage_is_refused_with_a_reason_and_harms_nobody(served, garbage):
    async def main(room):
        assert code_of(await room.exchange(garbage)) == 6
        assert room.calls == []
        assert await room.works()

    served(main)


def test_the_largest_request_is_taken_and_a_larger_one_is_not(served):
    async def main(room):
        env = {"MESHNET_QUERY": "x"}
        largest = encode_request(env, b"y" * (MAX_TOTAL - 16))
        assert decode_reply(await room.exchange(largest)).code == 0
        oversized = struct.pack("<BII", VERSION, MAX_TOTAL * 2, 16) + largest[9:] * 2
        answer = await room.exchange(oversized, close=False)
        assert answer == b"" or code_of(answer) == 6
        assert await room.works()

    served(main)


def test_descriptors_come_along_and_are_closed(served, null):
    async def main(room):
        for count in (1, 2):
            before = descriptors()
            for _ in range(5):
                reply = decode_reply(await room.exchange(REQUEST, fds=[null] * count))
                assert json.loads(reply.body)[2] == count
            await room.idle()
            assert descriptors() == before

    served(main)


@pytest.mark.parametrize("count", [3, 10, 200])
def test_too_many_descriptors_are_refused_and_all_closed(served, null, count):
    async def main(room):
        before = descriptors()
        assert code_of(await room.exchange(REQUEST, fds=[null] * count)) == 6
        await room.idle()
        assert descriptors() == before
        assert room.calls == []
        assert await room.works()

    served(main)


def test_descriptors_of_a_caller_that_sends_garbage_or_leaves_are_closed(served, null):
    async def main(room):
        before = descriptors()
        for piece in (b"garbage", REQUEST[:5], REQUEST + b"x"):
            await room.exchange(piece, fds=[null] * 2)
        await room.idle()
        assert descriptors() == before

    served(main)


def test_a_slow_caller_is_let_go_and_keeps_nobody_waiting(served, monkeypatch):
    monkeypatch.setattr(connection, "READ_LIMIT_S", 0.3)

    async def main(room):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(room.path))
            sock.sendall(REQUEST[:7])
            await until(lambda: room.server._calls)
            assert await room.works()
            await room.idle()
            assert sock.recv(1) == b""
        assert await room.works()

    served(main)


def test_a_caller_that_does_not_read_its_answer_is_let_go(served, monkeypatch):
    monkeypatch.setattr(connection, "READ_LIMIT_S", 0.3)

    async def main(room):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(room.path))
            request = encode_request({"MESHNET_QUERY": "x"}, b"y" * 1_000_000)
            await asyncio.to_thread(sock.sendall, request)
            await until(lambda: room.calls)
            await room.idle()
        assert await room.works()

    served(main)


def test_a_caller_that_is_gone_before_its_answer_is_no_error(served, caplog):
    async def main(room):
        room.hold = asyncio.Event()
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(room.path))
            sock.sendall(REQUEST)
            await until(lambda: room.calls)
        room.hold.set()
        await room.idle()
        room.hold = None
        assert await room.works()
        assert caplog.text == ""

    served(main)


@pytest.mark.parametrize(("body", "version"), [(b"", "1.1.0"), (b'{"cniVersion": "0.4.0"}', "0.4.0")])
def test_a_bug_is_an_answer(served, caplog, body, version):
    async def main(room):
        answer = await room.exchange(encode_request({"MESHNET_QUERY": "break"}, body))
        assert code_of(answer) == 999
        assert json.loads(answer[1:])["cniVersion"] == version
        assert b"on purpose" in answer
        assert "on purpose" in caplog.text
        assert await room.works()

    served(main)


def test_too_many_at_once_are_refused_and_the_others_served(served, monkeypatch):
    monkeypatch.setattr(server, "MOST_CONNECTIONS", 3)

    async def main(room):
        room.hold = asyncio.Event()
        waiting = [asyncio.create_task(room.exchange(REQUEST)) for _ in range(3)]
        await until(lambda: len(room.calls) == 3)
        assert await room.exchange(REQUEST) == b""
        room.hold.set()
        assert [decode_reply(await each).code for each in waiting] == [0, 0, 0]
        assert await room.works()

    served(main)


def test_out_of_descriptors_it_waits_and_goes_on(served, caplog):
    async def main(room):
        clients = [socket.socket(socket.AF_UNIX) for _ in range(3)]
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        free = os.dup(0)
        os.close(free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
        try:
            for client in clients:
                client.connect(str(room.path))
                client.sendall(REQUEST)
            await asyncio.sleep(0.5)
            assert room.calls == []
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        # it did not spend the time in saying so
        assert 1 <= caplog.text.count("local socket") < 50
        await until(lambda: len(room.calls) == 3)
        for client in clients:
            assert await asyncio.to_thread(client.recv, 10)
            client.close()

    served(main)


@pytest.mark.parametrize("left", [0, 1])
def test_a_call_whose_descriptors_find_no_room_is_to_be_tried_again(served, null, left, caplog):
    async def main(room):
        before = descriptors()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        with socket.socket(socket.AF_UNIX) as client:
            free = os.dup(0)
            os.close(free)
            resource.setrlimit(resource.RLIMIT_NOFILE, (free + 1 + left, hard))
            try:
                client.connect(str(room.path))
                socket.send_fds(client, [REQUEST], [null] * 2)
                answer = await asyncio.to_thread(client.recv, 1 << 16)
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert code_of(answer) == 11
        assert json.loads(answer[1:])["msg"] == "the daemon: Too many open files"
        assert room.calls == []
        await room.idle()
        assert descriptors() == before
        assert "local socket: [Errno 24] Too many open files" in caplog.text

    served(main)


def test_stopping_lets_calls_finish_and_takes_no_more(tmp_path):
    async def main():
        room = Room(tmp_path / "sock")
        room.server.start()
        room.hold = asyncio.Event()
        under_way = asyncio.create_task(room.exchange(REQUEST))
        await until(lambda: room.calls)
        stopping = asyncio.create_task(room.server.stop(grace_s=10))
        await asyncio.sleep(0.05)
        assert not room.path.exists()
        with pytest.raises(FileNotFoundError):
            await room.exchange(REQUEST)
        room.hold.set()
        await stopping
        assert decode_reply(await under_way).code == 0

    asyncio.run(main())


def test_stopping_does_not_wait_for_ever(tmp_path):
    async def main():
        room = Room(tmp_path / "sock")
        room.server.start()
        room.hold = asyncio.Event()
        under_way = asyncio.create_task(room.exchange(REQUEST))
        await until(lambda: room.calls)
        await room.server.stop(grace_s=0.1)
        assert await under_way == b""

    asyncio.run(main())


def test_a_socket_that_a_killed_daemon_left_is_taken_over(tmp_path):
    async def main():
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(str(tmp_path / "sock"))
        room = Room(tmp_path / "sock")
        room.server.start()
        assert await room.works()
        await room.server.stop(grace_s=1)

    asyncio.run(main())


def test_the_socket_of_a_successor_stays(tmp_path):
    async def main():
        old, new = Room(tmp_path / "sock"), Room(tmp_path / "sock")
        old.server.start()
        new.server.start()
        await old.server.stop(grace_s=1)
        assert await new.works()
        await new.server.stop(grace_s=1)
        assert not (tmp_path / "sock").exists()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("below", "why"),
    [
        ("", "Address already in use"),
        ("nosuch/sock", "No such file or directory"),
        ("s" * 107, "AF_UNIX path too long"),
    ],
)
def test_where_there_can_be_no_socket_the_setting_is_named(tmp_path, below, why):
    path = tmp_path / below
    with pytest.raises(InvalidObject) as caught:
        LocalServer(path, None).start()

    (problem,) = caught.value.problems
    assert problem.path == "MESHNET_SOCKET"
    assert str(problem).startswith(f"MESHNET_SOCKET: '{path}': a path where it can make a socket: {why}")


def test_a_file_where_the_socket_shall_be_is_somebodys(tmp_path):
    path = tmp_path / "kept"
    path.write_text("by somebody")
    with pytest.raises(InvalidObject, match=r"MESHNET_SOCKET.*Address already in use"):
        LocalServer(path, None).start()

    assert path.read_text() == "by somebody"


def test_a_socket_whose_directory_is_gone_is_put_back_when_that_is_there_again(tmp_path):
    async def main():
        (tmp_path / "run").mkdir()
        room = Room(tmp_path / "run" / "sock")
        room.server.start()
        room.path.unlink()
        room.path.parent.rmdir()
        with pytest.raises(OSError, match=f"No such file or directory: '{room.path}'"):
            room.server.renew()
        room.path.parent.mkdir()
        room.server.renew()
        assert await room.works()
        await room.server.stop(grace_s=1)

    asyncio.run(main())
