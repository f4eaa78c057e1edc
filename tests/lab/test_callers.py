"""Labs of callers who are in a directory that was deleted, or have closed standard descriptors."""

from __future__ import annotations

import os
import shlex
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.lab.topologies import pair, pod

if TYPE_CHECKING:
    from tests.lab.conftest import Lab

pytestmark = pytest.mark.lab


def shell(lab: Lab, *lines: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run lines of a shell, where `meshnet` is this lab's command."""
    script = "\n".join((f'meshnet() {{ {shlex.join(lab.command)} "$@"; }}', *lines))
    return subprocess.run(
        ["sh", "-c", script],
        input=stdin,
        env=lab.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
        cwd="/",
    )


def test_caller_whose_directory_was_deleted(lab, tmp_path):
    file = tmp_path / "pair.yml"
    file.write_text(pair())
    gone = f"d=$(mktemp -d); cd $d; rmdir $d; export MESHNET_LAB={lab.name}"
    done = shell(lab, gone, f"meshnet lab up -q {file} && meshnet lab exec r1 -- pwd && meshnet get links -o json")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("/\n[")
    ran = shell(lab, gone, f"meshnet lab down -q && meshnet lab run -q {file}")
    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.parametrize("closed", ["<&- >&-", "2>&-", "<&- >&- 2>&-"])
def test_caller_without_standard_descriptors(lab, tmp_path, closed):
    file = tmp_path / "pair.yml"
    file.write_text(pair(pod("r1", "sh", "-c", "echo said; exec sleep 1000"), pod("r2")))
    assert shell(lab, f"meshnet lab up {file} {closed}").returncode == 0
    assert lab.sh("r1", "ls /sys/class/net").split() == ["eth1", "lo"]
    assert lab.ok("lab", "logs", "r1") == "said\n"
    assert shell(lab, f"meshnet lab logs r1 {closed}").returncode == 0
    assert shell(lab, f"meshnet lab exec r1 {closed} -- sh -c '! test -t 0 && echo x'").returncode == 0


def test_command_without_a_name_is_refused(lab):
    lab.ok("lab", "up", "-", stdin=pair())
    done = lab.run("lab", "exec", "r1", "--", "")
    assert (done.returncode, done.stderr) == (2, "error: lab exec -- '': a command begins with the name of a program\n")


BOUND = "mount --rbind / $d"
PLAIN = """
for each in /*; do
    if [ -L $each ]; then cp -d $each $d/; elif [ -d $each ]; then mkdir $d$each; mount --rbind $each $d$each; fi
done"""


@pytest.mark.skipif(os.geteuid() != 0, reason="another root directory needs root")
@pytest.mark.parametrize(
    ("root", "code", "told"),
    [(BOUND, 0, ""), (PLAIN, 1, "error: the root directory is no mount point, as in most chroots: ")],
    ids=["mount point", "directory"],
)
def test_caller_whose_root_directory_is_another(lab, tmp_path, root, code, told):
    file, inside, outside = tmp_path / "pair.yml", tmp_path / "inside.sh", tmp_path / "outside.sh"
    file.write_text(pair())
    command = shlex.join(lab.command)
    seen = f"{command} lab exec r1 -- ls /sys/class/net | tr '\\n' ' '"
    inside.write_text(f"{command} lab run -q {file} && {command} lab up -q {file} && {seen}")
    (tmp_path / "root").mkdir()
    outside.write_text(f"set -e\nd={tmp_path}/root\n{root}\nchroot $d sh {inside}")
    ran = shell(lab, f"unshare --mount --propagation private sh {outside}")
    assert (ran.returncode, ran.stderr[: len(told)]) == (code, told), ran.stderr
    assert ran.stdout.endswith("" if code else "\neth1 lo ")
