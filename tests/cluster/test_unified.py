"""A node's groups of version 2, as the kernel has them: what the processes of a node may do that have joined them."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.cluster.machine import cgroups, unified
from tests.cluster.machine.commands import wait_for
from tests.cluster.machine.node import JOIN

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.kernel
BELOW = ("unshare", "--mount", "--cgroup", "--pid", "--fork", "--kill-child", "sh", "-c")
POD = """
read -r _
umount "$0" && mount -t cgroup2 cgroup2 "$0" && cd "$0" || exit
mkdir -p kubepods/pod1 && echo '+cpu +cpuset +memory +pids' >kubepods/cgroup.subtree_control
echo 1 >kubepods/pod1/cgroup.procs
cat /proc/self/cgroup kubepods/pod1/cgroup.controllers
"""
"""What a kubelet and a runtime do: a group for all pods, one for a pod, and a process of it that was started beside."""


@pytest.fixture
def first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The first group of this machine, or a container's, below which a group gets controllers."""
    place = tmp_path / "groups"
    place.mkdir()
    if subprocess.run(["mount", "-t", "cgroup2", "cgroup2", place], capture_output=True, check=False).returncode:
        pytest.skip("no control groups of version 2: they cannot be mounted")
    monkeypatch.setattr(cgroups, "hierarchies", dict)
    try:
        if reason := unified.why_not():
            pytest.skip(f"no control groups of version 2: a node needs {reason}")
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


def make_pod(joined: Path, tops: list[Path], first: Path) -> list[str]:
    """Be a node that starts one pod, and return what a process of it is in."""
    command = ["sh", "-c", JOIN, "join", str(joined), "--", *BELOW, POD, str(first)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as node:
        wait_for(lambda: len(joined.read_text().split()) == 2, "the node's first process to be there")
        cgroups.settle(tops, "n1")
        return node.communicate("go\n", timeout=60)[0].splitlines()


def test_a_node_makes_groups_of_pods_beside_that_of_its_own_processes_also_when_it_comes_again(first: Path) -> None:
    tops = cgroups.tops(f"test-{os.getpid()}")
    try:
        for _ in range(2):
            (joined,) = cgroups.make(tops, "n1")
            assert make_pod(joined, tops, first) == ["0::/kubepods/pod1", "cpuset cpu memory pids"]
    finally:
        cgroups.remove(tops)
    assert not tops[0].exists()
