"""What a session tells is put together, and is never more than a daemon can hold."""

from __future__ import annotations

import pytest

from meshnet.model.session import EndState
from meshnet.peers.hearing import MOST_BYTES, MOST_ENDS, Hearing
from meshnet.peers.messages import SIGN_OF_LIFE, Told, encode_ends
from tests.peers.daemons import end, run, until
from tests.peers.hostile import dialling, hello


def messages(states, *, whole):
    return list(encode_ends(states, whole=whole))


def ends(count, offer=""):
    return {end(f"r{number}"): EndState(1, offer={"x": offer}) for number in range(count)}


def hear(hearing, states, *, whole=True):
    for message in messages(states, whole=whole):
        told = hearing.take(message)
    return told


def test_all_ends_come_at_once_and_then_changes():
    hearing = Hearing()
    *parts, last = messages(ends(1200), whole=True)
    assert [hearing.take(part) for part in parts] == [None, None]
    assert hearing.take(last) == Told(ends(1200), whole=True)
    assert hear(hearing, {end("r1"): None}, whole=False) == Told({end("r1"): None})
    assert hearing.take(SIGN_OF_LIFE) == Told()


def test_as_many_ends_as_two_nodes_may_share_are_heard():
    hearing = Hearing()
    assert len(hear(hearing, ends(MOST_ENDS)).states) == MOST_ENDS
    with pytest.raises(ValueError, match=f"more than {MOST_ENDS} ends"):
        hear(hearing, {end("another"): EndState(1)}, whole=False)


def test_ends_that_are_gone_do_not_count():
    """Pods come and go for months, and in one session."""
    hearing = Hearing()
    hear(hearing, ends(MOST_ENDS - 1))
    for number in range(2):
        for state in (EndState(1), None):
            hear(hearing, {end(f"passing{number}"): state}, whole=False)


@pytest.mark.parametrize("whole", [True, False])
def test_what_is_told_is_bounded(whole):
    hearing = Hearing()
    if not whole:
        hear(hearing, {})
    large = "x" * 400_000
    for number in range(MOST_BYTES // len(large)):
        hear(hearing, {end(f"r{number}"): EndState(1, offer={"x": large})}, whole=False)
    with pytest.raises(ValueError, match="more than 32 MiB of ends"):
        hear(hearing, {end("one more"): EndState(1, offer={"x": large})}, whole=False)


def test_who_tells_too_much_is_asked_anew(tmp_path):
    sessions = []

    async def answer(_, context):
        await context.read()
        sessions.append(0)
        await context.write(hello("b"))
        await context.write(b'{"whole":true}')
        while True:
            sessions[-1] += 1
            for message in messages(ends(1, "x" * 900_000), whole=False):
                await context.write(message)

    async def main():
        async with dialling(tmp_path, answer) as one:
            await until(lambda: len(sessions) > 2)
            assert max(sessions) * 900_000 < 3 * MOST_BYTES  # and what is on its way
            await one.peers.stop()

    run(main)
