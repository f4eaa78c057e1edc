"""What a daemon makes of what is said to it in a session: another version, nonsense, too late, too little."""

from __future__ import annotations

import asyncio
import contextlib

import grpc
import pytest

from meshnet.model.session import Contact, EndState
from meshnet.peers.conversation import Conversation
from meshnet.peers.messages import Hello, encode_ends, encode_hello
from tests.peers.daemons import Daemon, contacts, end, run, until
from tests.peers.hostile import dialling

HELLO = encode_hello(Hello("b"))
WHOLE = next(encode_ends({end("r2"): EndState(1)}, whole=True))


class Script:
    """What a node answers in every session before it ends it; `calls` counts them."""

    def __init__(self, *messages):
        self.messages = messages
        self.calls = 0

    async def answer(self, _, context):
        self.calls += 1
        await context.read()
        for message in self.messages:
            await context.write(message)


def test_another_version_is_said_with_both_ranges_and_is_no_session(tmp_path):
    async def main():
        one, two = Daemon(tmp_path, "a", grace_s=60), Daemon(tmp_path, "b", grace_s=60)
        two.peers._hello = Hello("b", (2, 3), "9.0")
        await one.peers.start()
        await two.peers.start()
        one.knows(two)
        two.knows(one)
        await until(lambda: one.book.contacts and two.book.contacts)
        await until(lambda: Contact.INCOMPATIBLE in contacts(one) and Contact.INCOMPATIBLE in contacts(two))
        assert one.book.why("b") == "node b speaks protocol 2 to 3, this node 1 to 1"
        assert two.book.why("a") == "node a speaks protocol 1 to 1, this node 2 to 3"
        assert Contact.LIVE not in contacts(one) + contacts(two)
        assert one.book.told == {}
        await until(lambda: one.refused().get("PeerVersion"))  # who is refused may know it first

    run(main)


@pytest.mark.parametrize(
    "answers",
    [
        [],
        [b"\xff\x00"],
        [HELLO, b"nonsense"],
        [HELLO, b"[" * 500_000],
        [HELLO, b'{"ends": [[1]]}'],
        [HELLO, b" " * (1 << 20) + b"{}"],
        [WHOLE],
        [HELLO, b"{}", b'{"ends": "x", "whole": true}'],
    ],
)
def test_who_answers_nonsense_is_away_and_is_asked_no_more_than_it_must(tmp_path, answers):
    async def main():
        script = Script(*answers)
        async with dialling(tmp_path, script.answer) as one:
            await until(lambda: script.calls > 2 and one.book.contacts)
            assert set(contacts(one)) == {Contact.AWAY}
            assert one.book.told == {}
            assert "takes connections" in one.book.why("b")
            assert "but there is no session: " in one.book.why("b")
            before = script.calls
            await asyncio.sleep(2)
            assert script.calls - before < 10

    run(main)


def test_who_is_slow_to_answer_is_away_and_is_dialled_once(tmp_path):
    """A dial that is begun anew costs both daemons the handshake, and takes the answer that was on its way."""

    async def main():
        calls = 0

        async def answer(_, context):
            nonlocal calls
            calls += 1
            await context.read()
            await asyncio.sleep(2.5)
            await context.write(HELLO)
            await context.write(WHOLE)
            await asyncio.sleep(0.5)

        async with dialling(tmp_path, answer, timeout_s=2) as one:
            await until(lambda: one.book.last("b") is Contact.LIVE)
            assert contacts(one) == [Contact.AWAY, Contact.LIVE]
            assert calls == 1

    run(main)


def test_who_ends_each_session_at_once_is_asked_no_more_than_it_must(tmp_path):
    async def main():
        script = Script(HELLO, WHOLE)
        async with dialling(tmp_path, script.answer):
            await asyncio.sleep(3)
            assert 2 < script.calls < 20

    run(main)


@pytest.mark.parametrize("busy_s", [0, 0.3])
def test_why_a_peer_ends_a_session_is_one_short_line_whatever_it_says(tmp_path, monkeypatch, busy_s):
    """Also where it has ended the session before this daemon comes to speak."""
    hold = Conversation.hold

    async def hold_later(*args):
        await asyncio.sleep(busy_s)
        await hold(*args)

    monkeypatch.setattr(Conversation, "hold", hold_later)

    async def main():
        async def answer(_, context):
            await context.abort(grpc.StatusCode.INTERNAL, "no\n\x1b[2J" + "x" * 1000)

        async with dialling(tmp_path, answer) as one:
            await until(lambda: "session: " in one.book.why("b"))
            assert r"no session: no \x1b[2Jxx" in one.book.why("b")
            assert len(one.book.why("b")) < 400

    run(main)


def test_who_tells_too_much_is_said_to_do_that(tmp_path, monkeypatch):
    monkeypatch.setattr("meshnet.peers.hearing.MOST_ENDS", 0)

    async def main():
        async with dialling(tmp_path, Script(HELLO, WHOLE).answer) as one:
            await until(lambda: "session: " in one.book.why("b"))
            assert one.book.why("b").endswith("there is no session: what it sends is not taken: more than 0 ends")

    run(main)


def test_what_an_old_session_says_is_not_heard(tmp_path):
    async def main():
        old = None

        async def answer(_, context):
            nonlocal old
            await context.write(HELLO)
            await context.write(WHOLE)
            if old is None:
                old = context
                await asyncio.sleep(20)
            await asyncio.sleep(0.2)
            with contextlib.suppress(Exception):
                await old.write(next(encode_ends({end("old"): EndState(6)}, whole=False)))
            while True:
                await context.write(b"{}")
                await asyncio.sleep(0.2)

        async with dialling(tmp_path, answer) as one:
            await until(lambda: one.book.wholes == 2)
            await asyncio.sleep(1)
            assert one.book.told == {"b": {end("r2"): EndState(1)}}
            assert contacts(one) == [Contact.LIVE]

    run(main)
