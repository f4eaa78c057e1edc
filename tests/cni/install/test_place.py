"""A file is there whole, or as it was."""

from __future__ import annotations

import os
import stat
import subprocess
import threading
import time

import pytest

from meshnet.cni.install.place import FORGOTTEN_S, InstallError, is_there, place, take_away


def test_content_and_mode(tmp_path):
    path = tmp_path / "a"

    assert place(path, b"one", 0o600)
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"one", 0o600)
    assert os.listdir(tmp_path) == ["a"]


def test_what_is_right_is_not_touched(tmp_path):
    path = tmp_path / "a"
    place(path, b"one", 0o600)
    before = path.stat()

    assert not place(path, b"one", 0o600)
    assert (path.stat().st_ino, path.stat().st_ctime_ns) == (before.st_ino, before.st_ctime_ns)


@pytest.mark.parametrize("wrong", ["content", "mode", "link"])
def test_what_is_wrong_is_replaced(tmp_path, wrong):
    path, other = tmp_path / "a", tmp_path / "other"
    other.write_bytes(b"one")
    other.chmod(0o600)
    if wrong == "link":
        path.symlink_to("other")
    else:
        path.write_bytes(b"two" if wrong == "content" else b"one")
        path.chmod(0o444 if wrong == "mode" else 0o600)

    assert not is_there(path, b"one", 0o600)
    assert place(path, b"one", 0o600)
    assert is_there(path, b"one", 0o600)
    assert other.read_bytes() == b"one"


def test_a_program_that_runs_is_replaced(tmp_path):
    path = tmp_path / "sleep"
    with open("/bin/sleep", "rb") as file:
        place(path, file.read(), 0o755)
    with subprocess.Popen([path, "30"]) as running:
        assert place(path, b"#!/bin/sh\n", 0o755)
        assert running.poll() is None
        running.kill()


def test_a_reader_never_sees_a_part(tmp_path):
    path, seen, over = tmp_path / "a", set(), threading.Event()
    texts = [letter.encode() * 20_000 for letter in "ab"]
    place(path, texts[0], 0o600)

    def read():
        while not over.is_set():
            seen.add(path.read_bytes())

    with_reader = threading.Thread(target=read)
    with_reader.start()
    for number in range(100):
        place(path, texts[number % 2], 0o600)
    over.set()
    with_reader.join()

    assert seen <= set(texts)
    assert seen


def write_half(path, monkeypatch):
    """Write a file as a writer that is killed before it has its name; return what it leaves."""

    def never(*_):
        raise OSError

    before = set(path.parent.iterdir())
    with monkeypatch.context() as killed:
        killed.setattr(os, "replace", never)
        killed.setattr(os, "unlink", never)
        with pytest.raises(InstallError):
            place(path, b"half", 0o600)
    (left,) = set(path.parent.iterdir()) - before
    return left


def age(*paths):
    long_ago = time.time() - FORGOTTEN_S - 1
    for path in paths:
        os.utime(path, (long_ago, long_ago))


def test_what_a_killed_writer_left_is_swept(tmp_path, monkeypatch):
    left, fresh = (write_half(tmp_path / "a", monkeypatch) for _ in range(2))
    age(left)

    place(tmp_path / "a", b"", 0o600)

    assert sorted(os.listdir(tmp_path)) == [fresh.name, "a"]


def test_what_others_keep_beside_a_file_stays(tmp_path):
    """An editor's swap file has what its user has not saved yet."""
    others = [tmp_path / name for name in (".a.swp", ".a.orig", ".a.d")]
    for path in others[:2]:
        path.touch()
    others[2].mkdir()
    age(*others)

    place(tmp_path / "a", b"", 0o600)

    assert sorted(tmp_path.iterdir()) == sorted([*others, tmp_path / "a"])


def test_errors_name_the_file_and_leave_nothing(tmp_path):
    (tmp_path / "a").mkdir()

    with pytest.raises(InstallError, match=r"/a: cannot be written: Is a directory"):
        place(tmp_path / "a", b"", 0o600)
    with pytest.raises(InstallError, match=r"/a: cannot be removed: "):
        take_away(tmp_path / "a")
    with pytest.raises(InstallError, match=r"/none/a: cannot be written: No such file"):
        place(tmp_path / "none/a", b"", 0o600)

    assert os.listdir(tmp_path) == ["a"]


def test_removing_twice_is_fine(tmp_path):
    (tmp_path / "a").touch()

    assert take_away(tmp_path / "a")
    assert not take_away(tmp_path / "a")
