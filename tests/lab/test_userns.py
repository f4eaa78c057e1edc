"""Which ids an ordinary user may map, and what to say when it may not."""

from __future__ import annotations

import os
import pwd
import subprocess
from pathlib import Path

import pytest

from meshnet.errors import KernelError
from meshnet.lab import userns
from meshnet.lab.userns import maps_ranges, refused, subordinate


def test_subordinate_range_by_number(tmp_path):
    table = tmp_path / "subuid"
    table.write_text(f"somebody:1:2\n{os.geteuid()}:100000:65536\n")
    assert subordinate(table) == (100000, 65536)


def test_subordinate_range_where_another_has_a_name_of_any_bytes(tmp_path):
    table = tmp_path / "subuid"
    table.write_bytes(f"caf\xe9:1:2\n{os.geteuid()}:100000:65536\n".encode("latin-1"))
    assert subordinate(table) == (100000, 65536)


def test_subordinate_range_by_name_whatever_the_environment_says(tmp_path, monkeypatch):
    """As `su` and `setpriv` leave it."""
    table = tmp_path / "subuid"
    table.write_text("before:1:2\nme:100000:65536\n")
    monkeypatch.setenv("LOGNAME", "before")
    entry = pwd.getpwuid(0)
    monkeypatch.setattr(pwd, "getpwuid", lambda _: pwd.struct_passwd(("me", *entry[1:])))
    assert subordinate(table) == (100000, 65536)


@pytest.mark.parametrize("code", [0, 1])
def test_ranges_are_mapped_where_the_helpers_may(tmp_path, monkeypatch, code):
    if subprocess.run(["unshare", "--user", "true"], check=False, capture_output=True).returncode != 0:
        pytest.skip("an ordinary user may make no user namespaces here")
    for name in ("newuidmap", "newgidmap"):
        (tmp_path / name).write_text(f"#!/bin/sh\nexit {code}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(userns, "subordinate", lambda _: (100000, 65536))
    assert maps_ranges() == (code == 0)


def test_no_range(tmp_path):
    table = tmp_path / "subuid"
    assert subordinate(table) is None
    table.write_text("somebody:1:2\nbroken\n")
    assert subordinate(table) is None


def settings(tmp_path, monkeypatch, *, max_user_namespaces, unprivileged_userns_clone):
    """Have a machine with these settings, and no other."""
    for name, value in {
        "user/max_user_namespaces": max_user_namespaces,
        "kernel/unprivileged_userns_clone": unprivileged_userns_clone,
    }.items():
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(f"{value}\n")
    monkeypatch.setattr(userns, "Path", lambda root, *parts: tmp_path.joinpath(*parts) if parts else Path(root))


def test_refusal_names_the_setting_that_forbids_it_and_no_other(tmp_path, monkeypatch):
    settings(tmp_path, monkeypatch, max_user_namespaces=0, unprivileged_userns_clone=1)
    text = str(refused(KernelError(1, "make new namespaces")))
    assert "user.max_user_namespaces is 0 (must be a number above 0)" in text
    assert "unprivileged_userns_clone" not in text


def test_refusal_by_no_setting_names_what_else_refuses(tmp_path, monkeypatch):
    """As in a container: the settings are those of its host, and right."""
    settings(tmp_path, monkeypatch, max_user_namespaces=96365, unprivileged_userns_clone=1)
    text = str(refused(KernelError(1, "make new namespaces")))
    assert "must be" not in text
    assert "user.max_user_namespaces is 96365); " in text
    assert "a container's seccomp profile may" in text
