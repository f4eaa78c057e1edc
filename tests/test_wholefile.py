"""Files that are written whole or not at all."""

from __future__ import annotations

import os

import pytest

from meshnet.wholefile import write_whole


@pytest.mark.parametrize("durable", [False, True])
def test_a_file_is_replaced_and_its_owner_alone_reads_it(tmp_path, durable):
    path = tmp_path / "some.json"
    path.write_text("before")
    with path.open() as reader:
        write_whole(path, b"after", durable=durable)
        assert reader.read() == "before"
    assert path.read_text() == "after"
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["some.json"]


def test_what_a_killed_writer_has_left_is_not_written_to(tmp_path):
    """It may be of another mode, or lead elsewhere."""
    (tmp_path / "some.new").symlink_to("other")
    write_whole(tmp_path / "some.json", b"after")
    assert os.listdir(tmp_path) == ["some.json"]


def test_on_a_full_file_system_it_stays_as_it_was(tmp_path, monkeypatch):
    def refuse(descriptor):
        raise OSError(28, "No space left on device")

    path = tmp_path / "some.json"
    path.write_text("before")
    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="No space left"):
        write_whole(path, b"after", durable=True)
    assert path.read_text() == "before"
    assert os.listdir(tmp_path) == ["some.json"]
