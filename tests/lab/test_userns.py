"""Which ids an ordinary user may map, and what to say when it may not."""

from __future__ import annotations

import os

from meshnet.errors import KernelError
from meshnet.lab.userns import refused, subordinate


def test_subordinate_range_by_number(tmp_path):
    table = tmp_path / "subuid"
    table.write_text(f"somebody:1:2\n{os.geteuid()}:100000:65536\n")
    assert subordinate(table) == (100000, 65536)


def test_no_range(tmp_path):
    table = tmp_path / "subuid"
    assert subordinate(table) is None
    table.write_text("somebody:1:2\nbroken\n")
    assert subordinate(table) is None


def test_refusal_names_the_setting_and_its_value():
    text = str(refused(KernelError(1, "make new namespaces")))
    assert "user.max_user_namespaces is " in text
    assert "must be a number above 0" in text
