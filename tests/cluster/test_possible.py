"""A machine that cannot have a cluster says why."""

from __future__ import annotations

import ctypes
import os
import re
import sys
from pathlib import Path

import pytest

from tests.cluster.machine import __main__, cgroups, cluster, possible


@pytest.fixture(autouse=True)
def _as_root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine that has all it needs, whatever this one has."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(possible, "SYSTEM_PATH", str(tmp_path))
    monkeypatch.setattr(cgroups, "hierarchies", lambda: {name: Path("/") for name in cgroups.NEEDED})
    monkeypatch.setattr(possible, "_MOUNTS", tmp_path / "mountinfo")
    (tmp_path / "mountinfo").touch()
    monkeypatch.setattr(possible, "_FILE_SYSTEMS", tmp_path / "filesystems")
    (tmp_path / "filesystems").write_text("nodev\toverlay\n")
    for program in possible.PROGRAMS:
        (tmp_path / program).symlink_to("/bin/true")


def test_with_all_there_is_no_reason() -> None:
    assert possible.why_not() == ""


def test_without_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert possible.why_not() == "a cluster's nodes need root"


@pytest.mark.parametrize("verb", ["up", "down"])
def test_without_root_it_is_said_before_anything_is_built(
    verb: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(__main__, "find_binaries", lambda **_: pytest.fail("something would be built"))
    monkeypatch.setattr(cluster, "down", lambda _: pytest.fail("it would look into a directory of root's"))
    monkeypatch.setattr(sys, "argv", ["cluster", verb])
    assert __main__.main() == __main__.CANNOT
    assert capsys.readouterr().err == "cluster: a cluster's nodes need root\n"


def test_without_a_program_its_package_is_named(tmp_path: Path) -> None:
    (tmp_path / "nft").unlink()
    assert possible.why_not() == "a cluster's nodes need nftables: scripts/system-packages cluster"


def test_room_for_one_more_is_counted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    limit = tmp_path / "limit"
    monkeypatch.setattr(possible, "_LIMIT", limit)
    limit.write_text("100000\n")
    assert possible.why_not_now(3) == ""
    limit.write_text("38\n")
    watch = ctypes.CDLL(None).inotify_init()
    try:
        assert re.match(r"a cluster of 3 nodes needs 38 inotify instances: -?\d+ of 38 ", possible.why_not_now(3))
    finally:
        os.close(watch)


def test_without_a_controller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroups, "hierarchies", lambda: {"cpu,cpuacct": Path("/"), "pids": Path("/")})
    assert possible.why_not() == (
        "a cluster's nodes need control groups all of version 1, or all of version 2; "
        "of 1 are not here: blkio, cpuset, devices, freezer, memory"
    )


@pytest.mark.parametrize(
    ("modprobe", "reason"),
    [
        ("", "a cluster's nodes need overlayfs, which this kernel has not got"),
        ("false", "a cluster's nodes need overlayfs, which this kernel has not got"),
        ("true", ""),
    ],
)
def test_overlayfs_may_be_a_module_that_nobody_has_loaded_yet(modprobe: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "filesystems").write_text("nodev\tproc\n")
    if modprobe:
        (tmp_path / "modprobe").symlink_to(f"/bin/{modprobe}")
    assert possible.why_not() == reason


def test_on_an_overlay_unless_something_else_is_mounted_for_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    device, mounts = tmp_path.stat().st_dev, tmp_path / "mountinfo"
    monkeypatch.setattr(possible, "BASE", tmp_path / "clusters")
    place = f"30 22 {os.major(device)}:{os.minor(device)} / / rw,relatime - "
    mounts.write_text(f"{place}overlay overlay rw,lowerdir=/l,upperdir=/u,workdir=/w\n")
    assert possible.why_not() == (
        f"a cluster's nodes need {tmp_path}/clusters not to be on an overlay, as a container's files are: "
        "mount a tmpfs there"
    )
    monkeypatch.setattr(possible, "BASE", Path("/proc"))
    assert possible.why_not() == ""
    monkeypatch.setattr(possible, "BASE", tmp_path / "clusters")
    mounts.write_text(f"{place}ext4 /dev/sda1 rw\n")
    assert possible.why_not() == ""
