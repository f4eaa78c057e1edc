"""A lab leaves the machine as it was: links, namespaces, processes, sockets, mounts, files, rules, settings.

The comparison needs a machine where nobody else does anything: namespaces of the test's own, with a veth, a named
namespace and a firewall rule in them that must survive.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.lab.scenarios.lab import INSTALLED, PROGRAMS

CHECKOUT = Path(__file__).parents[3]
EXAMPLES = CHECKOUT / "examples"
MESHNET = INSTALLED[0]
FURNITURE = """
set -e
for place in /run /tmp /var/tmp /dev/shm /home; do
    [ -d "$place" ] || continue
    case "$CHECKOUT/" in
    "$place"/*) # what is under test stays in sight
        mount --bind "$CHECKOUT" /mnt
        mount -t tmpfs tmpfs "$place"
        mkdir -p "$CHECKOUT"
        mount --move /mnt "$CHECKOUT" ;;
    *) mount -t tmpfs tmpfs "$place" ;;
    esac
done
ip link set lo up
ip link add keep0 type veth peer name keep1
ip netns add keep
iptables -A INPUT -s 192.0.2.1 -j DROP 2>/dev/null || true
"$@"
"""
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a machine of its own, with firewall rules, needs root")


def compared(*commands: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Run commands on a machine of their own; return how each ended, and what has changed from before to after."""
    unshare = ["unshare", "--mount", "--net", "--pid", "--ipc", "--uts", "--fork", "--kill-child", "--mount-proc"]
    program = [sys.executable, str(PROGRAMS / "machine.py"), *commands]
    ran = subprocess.run(
        [*unshare, "sh", "-c", FURNITURE, "sh", *program],
        env={**os.environ, "HOME": "/", "PYTHONDONTWRITEBYTECODE": "1", "CHECKOUT": str(CHECKOUT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    seen = told["seen"]
    assert (seen["links"], seen["named namespaces"]) == (3, 1)
    kinds = ["processes", "mounts", "namespaces", "files", "settings", "sockets"]
    kinds += ["iptables"] if shutil.which("iptables-save") else []
    assert min(seen[name] for name in kinds) > 0
    return told["runs"], told["changes"]


def test_what_is_left_would_be_seen() -> None:
    leave = (
        "ip link add left0 type veth peer name left1; ip netns add left; sysctl -qw net.ipv4.ip_forward=1;"
        "touch /tmp/left; mount -t tmpfs tmpfs /var/tmp; iptables -A INPUT -s 192.0.2.2 -j DROP; "
        "unshare --net sleep 50 >/dev/null 2>&1 & python3 -c 'import socket; socket.create_server((\"127.0.0.1\", 99))'"
    )
    _, changes = compared(leave)
    left = {"links", "named namespaces", "files", "mounts", "settings", "processes", "namespaces"}
    assert left <= changes.keys()
    assert [line.split()[1] for line in changes["links"]["came"]] == ["left1@left0:", "left0@left1:"]
    assert "/tmp/left" in {line.split()[0] for line in changes["files"]["came"]}


@pytest.mark.parametrize("name", ["3node.yml", "macvlan.yml"])
def test_is_as_before_after_down(name: str) -> None:
    up = f"{MESHNET} lab up {EXAMPLES / name}"
    use = f"{MESHNET} lab exec r1 -- ip address && {MESHNET} lab restart r2 && {MESHNET} lab node n1 kill"
    runs, changes = compared(up, use, f"{MESHNET} lab down")
    assert [run["code"] for run in runs] == [0, 0, 0], runs
    assert changes == {}


def test_is_as_before_after_run_and_after_a_second_run() -> None:
    run = f"{MESHNET} lab run {EXAMPLES / '3node.yml'}"
    runs, changes = compared(run, run)
    assert [run["code"] for run in runs] == [0, 0], runs
    assert changes == {}


def test_with_a_primary_network_is_as_before(tmp_path: Path) -> None:
    runs, changes = compared(
        f"{MESHNET} lab up --primary bridge {EXAMPLES / '3node.yml'}",
        f"{MESHNET} lab exec r1 -- ip address show eth0",
        f"{MESHNET} lab down",
    )
    assert [run["code"] for run in runs] == [0, 0, 0], runs
    assert changes == {}


def test_twice_down_is_fine() -> None:
    runs, changes = compared(f"{MESHNET} lab up {EXAMPLES / '2node.yml'}", *[f"{MESHNET} lab down lab"] * 2)
    assert [run["code"] for run in runs] == [0, 0, 0], runs
    assert changes == {}


def test_a_killed_supervisor_leaves_nothing_that_hinders() -> None:
    """Its record stays until the next command; everything else is gone by the kernel's own hand."""
    up = f"{MESHNET} lab up {EXAMPLES / '3node.yml'}"
    kill = 'kill -9 $(python3 -c \'import json; print(json.load(open("/run/meshnet/labs/lab.json"))["pid"])\')'
    runs, changes = compared(up, kill)
    assert [run["code"] for run in runs] == [0, 0], runs
    assert [line.split()[0] for line in changes.pop("files")["came"]] == [
        "/run/meshnet",
        "/run/meshnet/labs",
        "/run/meshnet/labs/lab.json",
    ]
    assert changes == {}
    runs, changes = compared(up, kill, f"{MESHNET} lab list -o json", up, f"{MESHNET} lab down")
    assert [run["code"] for run in runs] == [0, 0, 0, 0, 0], runs
    assert json.loads(runs[2]["out"]) == []
    assert changes == {}
