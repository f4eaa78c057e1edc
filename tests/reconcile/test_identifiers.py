"""Identifiers: the same for the same endpoint, at rest before another has it."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import itertools
import os
import threading
import time

import pytest

from meshnet.model.topology import Endpoint
from meshnet.reconcile import identifiers
from meshnet.reconcile.identifiers import AHEAD, OVERGROWN, RECEIVE, REST_S, SPACE, Identifiers

POOL = "vni"


def endpoint(number):
    return Endpoint("default", f"r{number}", "eth1")


class Clock:
    now = 1_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def make(tmp_path, clock):
    """Start a daemon's identifiers on the same file, as after a restart or a reboot."""
    return lambda: Identifiers(tmp_path / "identifiers.jsonl", clock)


def test_the_same_endpoint_has_the_same_one_for_ever(make, clock):
    first = make()
    given = {number: first.allocate(POOL, endpoint(number)) for number in range(100)}
    assert len(set(given.values())) == 100
    assert all(0 < identifier < SPACE for identifier in given.values())

    assert {number: first.allocate(POOL, endpoint(number)) for number in range(100)} == given
    clock.now += 1e9
    again = make()
    assert {number: again.allocate(POOL, endpoint(number)) for number in range(100)} == given


def test_pools_are_apart(make):
    ours = make()
    ours.allocate(POOL, endpoint(1))
    ours.allocate("other", endpoint(1))
    ours.allocate("other", endpoint(2))
    ours.release([endpoint(2)])

    assert make().allocate(POOL, endpoint(1)) == ours.allocate(POOL, endpoint(1))


def test_one_starts_somewhere_at_random(tmp_path):
    starts = {Identifiers(tmp_path / f"{number}").allocate(POOL, endpoint(1)) for number in range(20)}
    assert len(starts) > 15


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setattr(identifiers, "SPACE", 4)


def test_one_given_back_rests_before_another_has_it(make, clock, tiny):
    ours = make()
    given = [ours.allocate(POOL, endpoint(number)) for number in range(3)]
    assert sorted(given) == [1, 2, 3]
    ours.release([endpoint(1)])

    for instance in (ours, make()):
        clock.now += REST_S / 2 - 1
        with pytest.raises(LookupError, match="all 3"):
            instance.allocate(POOL, endpoint(9))
    clock.now += 3
    assert make().allocate(POOL, endpoint(9)) == given[1]


def test_what_was_given_back_while_the_clock_was_ahead_rests_no_longer(make, clock, tiny):
    ours = make()
    given = {number: ours.allocate(POOL, endpoint(number)) for number in range(3)}
    clock.now += 1e9
    ours.release([endpoint(1), endpoint(2)])
    clock.now -= 1e9

    with pytest.raises(LookupError, match="all 3"):
        ours.allocate(POOL, endpoint(8))
    again = make()
    clock.now += REST_S + 1
    assert ours.allocate(POOL, endpoint(8)) in (given[1], given[2])
    assert {again.allocate(POOL, endpoint(number)) for number in (8, 9)} == {given[1], given[2]}


def test_giving_back_what_nobody_has_is_nothing(make):
    ours = make()
    ours.release([endpoint(1)])
    given = ours.allocate(POOL, endpoint(1))
    ours.release([endpoint(2)])
    ours.release([endpoint(1)])
    ours.release([endpoint(1)])
    assert make().allocate(POOL, endpoint(1)) == given


def test_an_endpoint_that_comes_back_has_its_own_again(make, clock):
    ours = make()
    given = ours.allocate(POOL, endpoint(1))
    ours.release([endpoint(1)])

    assert make().allocate(POOL, endpoint(1)) == given
    clock.now += REST_S + 1
    assert make().allocate(POOL, endpoint(1)) == given


def test_what_no_endpoint_has_any_more_is_given_back(make, clock, tiny):
    ours = make()
    kept = ours.allocate(POOL, endpoint(0))
    gone = {ours.allocate(POOL, endpoint(number)) for number in (1, 2)}
    ours.keep_only([endpoint(0)])
    clock.now += REST_S + 1

    again = make()
    assert {again.allocate(POOL, endpoint(number)) for number in (8, 9)} == gone
    assert again.allocate(POOL, endpoint(0)) == kept


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "7",
        '["vni", "a", 0, 0]',
        '["vni", "a", "x", 0]',
        '["vni", "a", 1e999, 0]\n',
        f'["vni", "a", 7, {10**400}]\n',
        '["vni"',
    ],
)
def test_a_line_that_cannot_be_read_costs_no_other(tmp_path, text, caplog):
    """A power cut may leave half a line: nobody was told of that identifier."""
    path = tmp_path / "identifiers.jsonl"
    before = Identifiers(path).allocate(POOL, endpoint(1))
    with path.open("a") as file:
        file.write(text)

    ours = Identifiers(path)
    assert ours.allocate(POOL, endpoint(1)) == before
    assert 0 < ours.allocate(POOL, endpoint(2)) < SPACE
    assert Identifiers(path).allocate(POOL, endpoint(1)) == before
    assert (str(path) in caplog.text) is bool(text)


def test_a_full_disk_is_an_error_and_nothing_is_handed_out(make, monkeypatch):
    ours = make()
    write = os.write
    with monkeypatch.context() as patched:
        patched.setattr("os.write", lambda fd, data: write(fd, data[:5]))
        with pytest.raises(OSError, match="full"):
            ours.allocate(POOL, endpoint(1))
    given = ours.allocate(POOL, endpoint(2))

    assert make().allocate(POOL, endpoint(2)) == given


def test_what_was_not_kept_is_not_taken_for_kept(make, monkeypatch):
    ours = make()
    ours.allocate(POOL, endpoint(1))

    def fails(_):
        raise OSError(errno.EIO, "no")

    with monkeypatch.context() as patched:
        patched.setattr("os.fdatasync", fails)
        for _ in range(2):
            with pytest.raises(OSError, match="no"):
                asyncio.run(ours.kept())
    asyncio.run(ours.kept())


def test_who_comes_while_it_is_being_kept_waits_for_that(make, monkeypatch):
    ours = make()
    ours.allocate(POOL, endpoint(1))
    begun, go_on, ended = threading.Event(), threading.Event(), []

    def slow(_):
        begun.set()
        go_on.wait(10)
        ended.append(True)

    monkeypatch.setattr("os.fdatasync", slow)

    async def main():
        first = asyncio.create_task(ours.kept())
        await asyncio.to_thread(begun.wait, 10)
        second = asyncio.create_task(ours.kept())
        await asyncio.sleep(0.01)
        assert not second.done()
        go_on.set()
        await asyncio.gather(first, second)
        assert ended

    asyncio.run(main())


def test_a_file_that_was_written_anew_survives_a_loss_of_power(make, monkeypatch, tmp_path):
    synced = []
    monkeypatch.setattr("os.fsync", lambda fd: synced.append(os.fstat(fd).st_ino))
    make()
    assert synced == [tmp_path.stat().st_ino]


def test_one_that_an_endpoint_had_long_ago_is_free_after_a_restart(make, clock, tiny, monkeypatch):
    draw = iter(range(3))
    monkeypatch.setattr("secrets.randbelow", lambda _: next(draw, 0))
    ours = make()
    assert ours.allocate(POOL, endpoint(1)) == 1
    ours.release([endpoint(1)])
    clock.now += REST_S + 1
    assert ours.allocate(POOL, endpoint(2)) == 2
    assert ours.allocate(POOL, endpoint(1)) == 3

    assert make().allocate(POOL, endpoint(3)) == 1


def test_one_that_has_another_since_its_rest_ended_is_not_had_twice(make, clock, monkeypatch):
    draw = iter((4, 4))
    monkeypatch.setattr("secrets.randbelow", lambda _: next(draw, 0))
    ours = make()
    assert ours.allocate(POOL, endpoint(1)) == 5
    ours.release([endpoint(1)])
    clock.now += REST_S + 1
    assert ours.allocate(POOL, endpoint(2)) == 5

    after = make()
    assert after.allocate(POOL, endpoint(1)) != 5
    assert after.allocate(POOL, endpoint(3)) != 5
    assert after.allocate(POOL, endpoint(2)) == 5


def lines(tmp_path):
    return (tmp_path / "identifiers.jsonl").read_text().splitlines()


async def until(condition):
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - it comes from a thread
            await asyncio.sleep(0.001)


def test_nobody_waits_for_the_disk_for_what_is_kept_ahead(make, monkeypatch):
    ours = make()
    synced = []
    monkeypatch.setattr("os.fdatasync", synced.append)
    for number in range(AHEAD // 2):
        ours.allocate(RECEIVE, endpoint(number))
    asyncio.run(ours.kept())
    assert synced == []


def test_more_is_kept_ahead_while_nobody_waits(make, monkeypatch, tmp_path):
    ours = make()
    go_on = threading.Event()
    monkeypatch.setattr("os.fdatasync", lambda _: go_on.wait(10))

    async def main():
        given = [ours.allocate(RECEIVE, endpoint(number)) for number in range(AHEAD - 1)]
        before = len(lines(tmp_path))
        await ours.kept()  # though the disk does not answer
        await ours.kept()
        assert len(lines(tmp_path)) == before + AHEAD - 1
        go_on.set()
        await until(lambda: ours._filling is None)
        given += [ours.allocate(RECEIVE, endpoint(number)) for number in range(AHEAD, 2 * AHEAD)]
        assert len(set(given)) == 2 * AHEAD - 1

    asyncio.run(main())


def test_what_cannot_be_kept_ahead_is_said_and_not_handed_out(make, monkeypatch, caplog):
    ours = make()

    def fails(_):
        raise OSError(errno.EIO, "no")

    async def main():
        for number in range(AHEAD - 1):
            ours.allocate(RECEIVE, endpoint(number))
        with monkeypatch.context() as patched:
            patched.setattr("os.fdatasync", fails)
            await ours.kept()
            await until(lambda: ours._filling is None)
            assert "kept ahead" in caplog.text
            ours.allocate(RECEIVE, endpoint(AHEAD))  # the last of those that were
            ours.allocate(RECEIVE, endpoint(AHEAD + 1))
            with pytest.raises(OSError, match="no"):
                await ours.kept()

    asyncio.run(main())


def test_after_a_loss_of_power_what_was_ahead_rests(make, clock, tmp_path, monkeypatch):
    monkeypatch.setattr(identifiers, "SPACE", 8)
    monkeypatch.setattr(identifiers, "AHEAD", 4)
    draws = iter([[1, 2, 3, 4], [5], [6]])
    monkeypatch.setattr("secrets.SystemRandom", lambda: Draws(next(draws)))
    ours = make()
    on_disk = (tmp_path / "identifiers.jsonl").read_bytes()
    assert ours.allocate(RECEIVE, endpoint(1)) == 4
    (tmp_path / "identifiers.jsonl").write_bytes(on_disk)  # the line of the endpoint is lost

    again = make()
    assert {again.allocate(RECEIVE, endpoint(number)) for number in range(2, 5)} == {5, 6, 7}
    with pytest.raises(LookupError):
        again.allocate(RECEIVE, endpoint(9))
    clock.now += REST_S + 1
    assert {again.allocate(RECEIVE, endpoint(number)) for number in range(9, 13)} == {1, 2, 3, 4}


class Draws:
    def __init__(self, drawn):
        self.drawn = drawn

    def sample(self, _population, _count):
        return self.drawn


def test_what_was_handed_out_of_those_ahead_stays_its_endpoints(make, clock, tmp_path, monkeypatch):
    numbers = itertools.count(1)  # none is drawn twice: what is taken already would be left out
    monkeypatch.setattr("secrets.SystemRandom", lambda: Draws(list(itertools.islice(numbers, AHEAD))))
    ours = make()
    given = {number: ours.allocate(RECEIVE, endpoint(number)) for number in range(10)}
    clock.now += 2 * REST_S
    assert {number: make().allocate(RECEIVE, endpoint(number)) for number in range(10)} == given
    for _ in range(3):
        clock.now += 2 * REST_S
        make()
    assert len(lines(tmp_path)) == 10 + 2 * AHEAD  # those of the start before rest; of others nothing is left


def come_and_go(ours, count, first=0):
    for number in range(first, first + count):
        ours.allocate(RECEIVE, endpoint(number))
        ours.release([endpoint(number)])


@pytest.mark.parametrize("disk_s", [0.0, 0.005])
def test_the_file_does_not_grow_for_ever(make, clock, tmp_path, monkeypatch, disk_s):
    """Not even where the disk is slower than what comes, so that one written anew would never catch up with it."""
    fdatasync = os.fdatasync

    def slow(file):
        time.sleep(disk_s)
        fdatasync(file)

    async def main():
        monkeypatch.setattr(os, "fdatasync", slow)
        ours = make()
        stays = ours.allocate(RECEIVE, endpoint(1_000_000))
        longest = 0
        for round_ in range(200):
            come_and_go(ours, 50, first=50 * round_)
            await ours.kept()
            clock.now += REST_S / 2
            await asyncio.sleep(0.001)
            longest = max(longest, len(lines(tmp_path)))
        assert longest < OVERGROWN * 2 * (AHEAD + 200)
        assert ours.allocate(RECEIVE, endpoint(1_000_000)) == stays
        ours.close()
        return stays

    stays = asyncio.run(main())
    assert make().allocate(RECEIVE, endpoint(1_000_000)) == stays
    assert not (tmp_path / "identifiers.new").exists()


async def overgrown(ours, clock):
    """Have most of the file count no more, and none that was handed out wait for the disk."""
    come_and_go(ours, OVERGROWN * AHEAD)
    await ours.kept()
    await until(lambda: ours._filling is None)
    clock.now += 2 * REST_S


@contextlib.contextmanager
def waiting_disk(monkeypatch):
    """Hold up what the disk is asked for, to the end of the block."""
    go_on, fdatasync = threading.Event(), os.fdatasync
    with monkeypatch.context() as patched:
        patched.setattr(os, "fdatasync", lambda file: (go_on.wait(10), fdatasync(file)))
        try:
            yield
        finally:
            go_on.set()


def test_what_comes_while_it_is_written_anew_is_not_lost(make, clock, tmp_path, monkeypatch):
    async def main():
        ours = make()
        await overgrown(ours, clock)
        before = len(lines(tmp_path))
        with waiting_disk(monkeypatch):
            given = {0: ours.allocate(RECEIVE, endpoint(0))}
            await ours.kept()
            assert (tmp_path / "identifiers.new").exists()
            given |= {number: ours.allocate(RECEIVE, endpoint(number)) for number in range(1, 4)}
            ours.release([endpoint(0)])
        await until(lambda: ours._journal._renewing is None)
        assert len(lines(tmp_path)) < before / 2
        given[4] = ours.allocate(RECEIVE, endpoint(4))
        await ours.kept()
        ours.close()
        return given

    given = asyncio.run(main())
    again = make()
    assert {number: again.allocate(RECEIVE, endpoint(number)) for number in given} == given


def test_one_written_anew_that_takes_no_more_is_given_up(make, clock, tmp_path, monkeypatch, caplog):
    write = os.write

    async def main():
        ours = make()
        await overgrown(ours, clock)
        with waiting_disk(monkeypatch), monkeypatch.context() as patched:
            given = {0: ours.allocate(RECEIVE, endpoint(0))}
            await ours.kept()
            full = (tmp_path / "identifiers.new").stat().st_ino
            patched.setattr(os, "write", lambda file, data: 0 if os.fstat(file).st_ino == full else write(file, data))
            given[1] = ours.allocate(RECEIVE, endpoint(1))
        await until(lambda: ours._journal._renewing is None)
        given[2] = ours.allocate(RECEIVE, endpoint(2))
        await ours.kept()
        ours.close()
        return given

    given = asyncio.run(main())
    assert "identifiers.jsonl: not written anew" in caplog.text
    again = make()
    assert {number: again.allocate(RECEIVE, endpoint(number)) for number in given} == given


def test_what_is_kept_while_it_is_written_anew_is_on_the_disk_in_both(make, clock, monkeypatch):
    synced, fdatasync = [], os.fdatasync

    async def main():
        ours = make()
        await overgrown(ours, clock)
        with waiting_disk(monkeypatch):
            await ours.kept()
        both = {ours._journal._file, ours._journal._next}
        monkeypatch.setattr(os, "fdatasync", lambda file: (synced.append(file), fdatasync(file)))
        for number in range(AHEAD + 1):  # the last one was not kept ahead
            ours.allocate(RECEIVE, endpoint(number))
        await ours.kept()
        ours.close()
        return both

    both = asyncio.run(main())
    assert len(both - {None}) == 2
    assert both <= set(synced)


def test_a_file_that_cannot_be_written_anew_goes_on(make, clock, tmp_path, monkeypatch, caplog):
    async def main():
        ours = make()
        come_and_go(ours, OVERGROWN * AHEAD)
        clock.now += 2 * REST_S
        given = ours.allocate(RECEIVE, endpoint(0))
        (tmp_path / "identifiers.new").mkdir()
        await ours.kept()
        await asyncio.sleep(0.1)
        assert ours.allocate(RECEIVE, endpoint(1)) != given
        ours.close()
        return given

    given = asyncio.run(main())
    assert "identifiers.jsonl: not written anew" in caplog.text
    (tmp_path / "identifiers.new").rmdir()
    assert make().allocate(RECEIVE, endpoint(0)) == given


@contextlib.contextmanager
def full_disk(monkeypatch):
    """Let nothing be written, as on a file system that is full, to the end of the block."""

    def refuse(_file, _data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", refuse)
        yield


def test_a_daemon_that_starts_on_a_full_disk_knows_what_was_handed_out(make, clock, tmp_path, monkeypatch, caplog):
    before = make()
    given = {number: before.allocate(RECEIVE, endpoint(number)) for number in range(3)}
    asyncio.run(before.kept())
    with full_disk(monkeypatch):
        ours = make()
        assert {number: ours.allocate(RECEIVE, endpoint(number)) for number in given} == given
        asyncio.run(ours.kept())
        for _ in range(2):
            with pytest.raises(OSError, match="No space left"):
                ours.allocate(RECEIVE, endpoint(9))
    assert "identifiers.jsonl: not written anew, it goes on as it is: [Errno 28]" in caplog.text
    assert not (tmp_path / "identifiers.new").exists()

    again = make()
    assert {number: again.allocate(RECEIVE, endpoint(number)) for number in given} == given


def test_when_there_is_room_again_identifiers_are_handed_out_and_kept_ahead(make, monkeypatch, tmp_path):
    make().allocate(RECEIVE, endpoint(0))
    with full_disk(monkeypatch):
        ours = make()
    before, synced, fdatasync = len(lines(tmp_path)), [], os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda file: (synced.append(file), fdatasync(file)))

    async def main():
        given = ours.allocate(RECEIVE, endpoint(1))
        await ours.kept()
        assert synced  # it was not kept ahead
        await until(lambda: ours._filling is None)
        assert len(lines(tmp_path)) == before + 1 + AHEAD
        ours.close()
        return given

    given = asyncio.run(main())
    assert make().allocate(RECEIVE, endpoint(1)) == given


def test_that_nothing_can_be_kept_ahead_is_said_once_while_it_is_so(make, monkeypatch, caplog):
    said = "no receive identifiers can be kept ahead"
    with full_disk(monkeypatch):
        ours = make()

    async def main():
        for times in (1, 2):
            with full_disk(monkeypatch):
                for _ in range(3):
                    await ours.kept()
            assert caplog.text.count(said) == times
            await ours.kept()
            await until(lambda: ours._filling is None)
            ours._pools[RECEIVE].ahead.clear()
        ours.close()

    asyncio.run(main())


def test_a_file_that_goes_on_as_it_is_is_written_anew_when_it_has_overgrown(make, clock, monkeypatch, tmp_path):
    come_and_go(make(), OVERGROWN * AHEAD)
    clock.now += 2 * REST_S
    with full_disk(monkeypatch):
        ours = make()
    before = len(lines(tmp_path))

    async def main():
        ours.allocate(RECEIVE, endpoint(0))
        await ours.kept()
        await until(lambda: ours._filling is None)
        clock.now += 2 * REST_S
        await ours.kept()
        await until(lambda: ours._journal._renewing is None)
        ours.close()

    asyncio.run(main())
    assert len(lines(tmp_path)) < before / 2


def test_a_line_without_an_end_does_not_spoil_the_next_one(make, monkeypatch, tmp_path):
    known = make().allocate(RECEIVE, endpoint(0))
    with (tmp_path / "identifiers.jsonl").open("a") as file:
        file.write('["receive", "default/r1:eth1", 7')
    with full_disk(monkeypatch):
        ours = make()
    given = ours.allocate(RECEIVE, endpoint(1))

    again = make()
    assert (again.allocate(RECEIVE, endpoint(0)), again.allocate(RECEIVE, endpoint(1))) == (known, given)


def test_what_could_not_be_handed_out_is_not_lost(make, monkeypatch, clock):
    ours = make()
    rested = ours.allocate(RECEIVE, endpoint(0))
    ours.release([endpoint(0)])
    ahead = list(ours._pools[RECEIVE].ahead)
    with full_disk(monkeypatch):
        for number in range(3):
            with pytest.raises(OSError, match="No space left"):
                ours.allocate(RECEIVE, endpoint(number))

    assert ours.allocate(RECEIVE, endpoint(0)) == rested
    assert ours.allocate(RECEIVE, endpoint(1)) in ahead
    assert len(ours._pools[RECEIVE].ahead) == len(ahead) - 1
