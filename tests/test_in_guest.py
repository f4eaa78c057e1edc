"""What `scripts/in-guest` makes of the end of its virtual machine, with a stand-in for that."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "scripts" / "in-guest"
VERSION = "6.1.0-0-amd64"
FIND_SHARE = (
    "for word; do case $word in *mount_tag=share*) share=${word#local,path=} share=${share%%,*} ;; esac; done\n"
)
TOOLS = "sh env dirname id ls mktemp mkdir cp cat rm find sed awk sleep timeout setpriv"


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A directory with in-guest in it, `bin` with all that it runs, and a kernel; there is no qemu yet."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "tmp").mkdir()
    for name in TOOLS.split():
        found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
        assert found, name
        (tmp_path / "bin" / name).symlink_to(found)
    (tmp_path / "bin" / "python3").symlink_to(sys.executable)
    shutil.copy(SCRIPT, tmp_path)
    shutil.copy(SCRIPT.parent / "guest-init", tmp_path)
    kernel = tmp_path / "kernel"
    (kernel / "lib" / "modules" / VERSION).mkdir(parents=True)
    (kernel / "bin").mkdir()
    program(kernel / "bin" / "busybox", "cat >/dev/null")
    program(tmp_path / "guest-kernel", f"echo {kernel}")
    program(tmp_path / "bin" / "modprobe", "true")
    return tmp_path


def program(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def qemu(machine: Path, text: str) -> None:
    program(machine / "bin" / "qemu-system-x86_64", FIND_SHARE + text)


def in_guest(machine: Path, *command: str, **env: str) -> subprocess.CompletedProcess[str]:
    place = {"PATH": str(machine / "bin"), "HOME": str(machine), "TMPDIR": str(machine / "tmp")}
    done = subprocess.run(
        [str(machine / "in-guest"), *command], env=place | env, capture_output=True, text=True, timeout=30, check=False
    )
    assert list((machine / "tmp").iterdir()) == []
    return done


@pytest.mark.parametrize("code", [0, 5])
def test_exits_as_the_command_did(machine: Path, code: int) -> None:
    qemu(machine, f"echo {code} >$share/code")

    assert in_guest(machine, "true").returncode == code


def test_the_command_comes_through_whole(machine: Path) -> None:
    qemu(machine, 'cp "$share/run" "$share/out/"; echo 0 >$share/code')
    out = machine / "reports"

    assert in_guest(machine, "echo", "a b", "it's $HOME", GUEST_OUT=str(out)).returncode == 0
    assert """echo 'a b' 'it'"'"'s $HOME'\n""" in (out / "run").read_text()


def test_it_has_one_processor_since_two_stall(machine: Path) -> None:
    qemu(machine, 'echo "$*" >"$share/out/arguments"; echo 0 >"$share/code"')
    out = machine / "reports"
    in_guest(machine, "true", GUEST_OUT=str(out))

    assert " -smp 1 " in (out / "arguments").read_text()


def test_an_end_without_a_result_is_a_failure(machine: Path) -> None:
    qemu(machine, "exit 0")
    done = in_guest(machine, "true")

    assert (done.returncode, done.stderr) == (1, "in-guest: the guest ended without a result (qemu: 0)\n")


def test_a_guest_that_does_not_end_is_ended(machine: Path) -> None:
    qemu(machine, "exec sleep 60")
    done = in_guest(machine, "true", GUEST_LIMIT="1")

    assert (done.returncode, done.stderr) == (1, "in-guest: not done after 1 seconds\n")


def test_without_qemu_it_is_a_skip(machine: Path) -> None:
    done = in_guest(machine, "true")

    assert done.returncode == 77
    assert "install qemu-system-x86" in done.stderr


def test_a_kernel_that_cannot_be_had_is_a_skip(machine: Path) -> None:
    qemu(machine, "echo 0 >$share/code")
    program(machine / "guest-kernel", "echo 'guest-kernel: no network' >&2; exit 77")
    done = in_guest(machine, "true")

    assert (done.returncode, done.stderr) == (77, "guest-kernel: no network\n")
