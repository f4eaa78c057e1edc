"""Starting a lab from outside: what is left when that fails."""

from __future__ import annotations

import os
import subprocess
from types import SimpleNamespace

import pytest

from meshnet.errors import MeshnetError
from meshnet.lab.box import Box
from meshnet.lab.channel import pair
from meshnet.lab.launch import launch
from meshnet.lab.record import LabRecords


def test_lab_whose_supervisor_says_no_more_is_gone_when_that_is_told(monkeypatch, tmp_path):
    """As of a lab that is large: its first process has closed everything, and still waits for the others' end."""
    records = LabRecords(tmp_path / "meshnet" / "labs")
    first = subprocess.Popen(["sleep", "1000"])
    ours, theirs = pair()
    theirs.close()
    try:
        box = Box(records.create("lab", first.pid), ours)
        monkeypatch.setattr("meshnet.lab.box.make_box", lambda *_: box)

        with pytest.raises(MeshnetError, match="its supervisor ended before everything was up"):
            launch(SimpleNamespace(name="lab"), records, lambda _: None)

        assert not os.path.exists(records.directory)
        assert first.wait(0) == -9
    finally:
        first.kill()
        first.wait()
