"""What wakes the watcher, and what does not."""

from __future__ import annotations

import errno
import os
import select

import pytest

from meshnet.cni.install.inotify import DirectoryWatch
from meshnet.errors import KernelError


@pytest.fixture
def watch(tmp_path):
    made = DirectoryWatch()
    made.add(tmp_path)
    yield made
    made.close()


def heard(watch):
    found = bool(select.select([watch], [], [], 0)[0])
    watch.drain()
    return found


def test_a_file_is_heard_when_it_is_written_renamed_and_removed(watch, tmp_path):
    assert not heard(watch)
    with (tmp_path / "a").open("w") as file:
        heard(watch)  # its creation
        file.write("x")
        file.flush()
        assert not heard(watch)
    assert heard(watch)
    for change in (
        lambda: (tmp_path / "a").rename(tmp_path / "b"),
        lambda: (tmp_path / "b").chmod(0o600),
        lambda: (tmp_path / "l").symlink_to("b"),
        (tmp_path / "b").unlink,
    ):
        change()
        assert heard(watch)


def test_reading_is_not_heard(watch, tmp_path):
    (tmp_path / "a").write_text("x")
    heard(watch)

    (tmp_path / "a").read_text()
    os.listdir(tmp_path)

    assert not heard(watch)


def test_a_directory_made_anew_is_heard_after_it_is_added_again(tmp_path):
    directory = tmp_path / "d"
    directory.mkdir()
    watch = DirectoryWatch()
    watch.add(directory)
    watch.add(directory)
    directory.rmdir()
    assert heard(watch)
    directory.mkdir()
    watch.add(directory)
    (directory / "a").touch()
    assert heard(watch)
    watch.close()


def test_what_is_no_directory_is_named(watch, tmp_path):
    (tmp_path / "a").touch()

    with pytest.raises(KernelError, match=str(tmp_path / "a")) as caught:
        watch.add(tmp_path / "a")

    assert caught.value.errno == errno.ENOTDIR
