"""Compares a machine before and after commands: ``machine.py COMMAND...``, each COMMAND a line for a shell.

The machine is what the calling process sees: run it in namespaces of its own, where nobody else does anything. Prints
JSON: for each command its exit code and output, and for each sort of thing the lines that came and those that went
between before the first command and after the last one.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

TREES = ("/run", "/tmp", "/var/tmp", "/dev/shm", "/etc", "/var/lib", "/var/log", "/home", "/opt", "/srv")
KINDS = ("mnt", "net", "pid", "uts", "ipc", "user", "cgroup", "time")
SOCKETS = ("unix", "netlink", "packet", "tcp", "tcp6", "udp", "udp6", "raw")
COMMANDS = {
    "links": "ip -o -d link",
    "addresses": "ip -o address",
    "routes": "ip route show table all; ip -6 route show table all; ip rule",
    "named namespaces": "ip netns list",
    "iptables": "iptables-save | grep -v '^#'; ip6tables-save | grep -v '^#'",
    "nftables": "nft list ruleset",
    "shared memory": "cat /proc/sysvipc/*",
    "mounts": "cat /proc/self/mountinfo",
    "settings": "sysctl -a 2>/dev/null | grep '^net\\.' | grep -v -e dst_entries -e nf_conntrack_count",
}
BUILT = f"{os.environ['CHECKOUT']}/build"
ENDING_S = 5


def main(commands):
    before = snapshot()
    runs = []
    for command in commands:
        ran = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False, timeout=100)
        runs.append({"command": command, "code": ran.returncode, "out": ran.stdout, "err": ran.stderr})
    after = snapshot()
    deadline = time.monotonic() + ENDING_S
    while (changes := compare(before, after)) and time.monotonic() < deadline:
        time.sleep(0.05)  # the kernel takes a moment to end what has no user any more
        after = snapshot()
    print(json.dumps({"runs": runs, "changes": changes, "seen": {name: len(lines) for name, lines in before.items()}}))


def compare(before, after):
    return {
        name: {"came": sorted(after[name] - before[name]), "went": sorted(before[name] - after[name])}
        for name in before
        if after[name] != before[name]
    }


def snapshot():
    found = {name: set(shell(command)) for name, command in COMMANDS.items()}
    found["processes"] = set(processes())
    found["namespaces"] = set(namespaces())
    found["sockets"] = set(sockets())
    found["files"] = {line for tree in TREES for line in files(tree)}
    return found


def shell(command):
    ran = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False, timeout=60)
    return ran.stdout.splitlines()


def processes():
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            yield f"{directory.name} {(directory / 'cmdline').read_bytes()[:200]!r}"
        except OSError:
            continue


def namespaces():
    for directory in Path("/proc").glob("[0-9]*"):
        for kind in KINDS:
            try:
                yield os.readlink(directory / "ns" / kind)
            except OSError:
                continue


def sockets():
    for kind in SOCKETS:
        path = Path("/proc/net", kind)
        lines = path.read_text().splitlines()[1:] if path.exists() else ()
        # without the kernel's address of it and without queues: what it is bound to
        yield from (f"{kind} {' '.join(line.split()[1:4])} {line.split()[-1]}" for line in lines)


def files(tree):
    for directory, subdirectories, names in os.walk(tree):
        # what others who work in the checkout write beside us: reports, and what they import
        subdirectories[:] = [
            name for name in subdirectories if f"{directory}/{name}" != BUILT and name != "__pycache__"
        ]
        for name in (*subdirectories, *names):
            path = os.path.join(directory, name)
            try:
                found = os.lstat(path)
            except OSError:
                continue
            # a directory's times change when something in it comes and goes: what counts is what is there after
            times = "" if name in subdirectories else f" {found.st_size} {found.st_mtime_ns}"
            yield f"{path} {found.st_mode:o} {found.st_uid}{times}"


main(sys.argv[1:])
