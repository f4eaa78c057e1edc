from __future__ import annotations

import contextlib
import errno
import os
from typing import TYPE_CHECKING

import pytest

from meshnet.stores.notify import Meeting

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def meeting(tmp_path: Path) -> Iterator[Meeting]:
    with contextlib.closing(Meeting(tmp_path / "watchers")) as meeting:
        yield meeting


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Meeting]:
    with contextlib.closing(Meeting(tmp_path / "watchers")) as meeting:
        yield meeting


def drain(sock: socket.socket) -> int:
    received = 0
    with contextlib.suppress(BlockingIOError):
        while sock.recv(16):
            received += 1
    return received


def test_everyone_present_is_told_but_oneself(meeting: Meeting, other: Meeting) -> None:
    (one, name), (two, _), (three, _) = meeting.bind(), other.bind(), other.bind()
    with one, two, three:
        meeting.tell(but=name)
        other.tell(but=None)
        assert [drain(sock) for sock in (one, two, three)] == [1, 2, 2]


def test_a_meeting_nobody_came_to(tmp_path: Path, meeting: Meeting) -> None:
    meeting.tell(but=None)
    assert list(tmp_path.iterdir()) == []


def test_the_dead_are_removed_by_who_notices(tmp_path: Path, meeting: Meeting) -> None:
    (dead, first), (alive, _), (dying, last) = meeting.bind(), meeting.bind(), meeting.bind()
    with alive, dying:
        dead.close()
        assert (tmp_path / "watchers" / first).is_socket()
        meeting.tell(but=None)
        assert not (tmp_path / "watchers" / first).exists()
        dying.close()
        assert (tmp_path / "watchers" / last).is_socket()
        meeting.tell(but=None)
        assert not (tmp_path / "watchers" / last).exists()
        assert drain(alive) == 2


def test_who_comes_right_after_a_look_is_seen(meeting: Meeting, other: Meeting) -> None:
    with contextlib.ExitStack() as stack:
        # Faster than the clock that stamps the directory: each tell must find all who are there, however many
        # of those leave theirs unread.
        for expected in range(1, 200):
            sock = stack.enter_context(meeting.bind()[0])
            other.tell(but=None)
            assert drain(sock) == 1, expected


def test_who_left_is_forgotten(meeting: Meeting, other: Meeting) -> None:
    open_before = len(os.listdir("/proc/self/fd"))
    for _ in range(50):
        sock, name = meeting.bind()
        other.tell(but=None)
        sock.close()
        meeting.unlink(name)
    other.tell(but=None)
    assert len(os.listdir("/proc/self/fd")) == open_before


def test_a_full_socket_holds_nobody_up(tmp_path: Path, meeting: Meeting) -> None:
    lazy, name = meeting.bind()
    with lazy:
        for _ in range(10_000):
            meeting.tell(but=None)
        assert 0 < drain(lazy) < 10_000
        assert (tmp_path / "watchers" / name).is_socket()


def test_a_path_too_long_for_a_socket(tmp_path: Path) -> None:
    directory = tmp_path / ("d" * 100) / ("e" * 100) / "watchers"
    directory.parent.mkdir(parents=True)
    with contextlib.closing(Meeting(directory)) as meeting, contextlib.closing(Meeting(directory)) as other:
        sock, name = meeting.bind()
        with sock:
            other.tell(but=None)
            assert drain(sock) == 1
        meeting.unlink(name)
        assert os.listdir(directory) == []


def test_descriptors_that_run_out_are_no_error_of_the_write(meeting: Meeting, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left() -> socket.socket:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    (one, _), (two, _) = meeting.bind(), meeting.bind()
    with one, two:
        with monkeypatch.context() as patched:
            patched.setattr("meshnet.stores.notify._datagram_socket", none_left)
            meeting.tell(but=None)
        meeting.tell(but=None)
        assert [drain(sock) for sock in (one, two)] == [1, 1]
