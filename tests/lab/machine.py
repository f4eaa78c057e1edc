"""What a lab could leave on a machine, to be compared before and after."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

SETTLE_S = 20.0


def snapshot() -> dict[str, object]:
    """Return links, names of namespaces, mounts, rules, name and forwarding of this machine."""
    return {
        "links": _command("ip", "-o", "link"),
        "netns": sorted(os.listdir("/run/netns")) if Path("/run/netns").is_dir() else None,
        "mounts": sorted(line.split(" - ")[0].split()[4] for line in _lines("/proc/self/mountinfo")),
        "rules": _command("iptables-save") if os.geteuid() == 0 else [],
        "hostname": os.uname().nodename,
        "forwarding": Path("/proc/sys/net/ipv4/ip_forward").read_text(),
    }


def processes(token: str) -> list[str]:
    """Return the processes whose command line has `token`, which is unique to a test, or whose environment has."""
    found = []
    for directory in Path("/proc").iterdir():
        if not directory.name.isdigit() or int(directory.name) == os.getpid():
            continue
        try:
            state = (directory / "stat").read_text().rpartition(")")[2].split()[0]
            text = (directory / "cmdline").read_bytes() + (directory / "environ").read_bytes()
        except OSError:
            continue
        if token.encode() in text and state not in "ZX":
            found.append(directory.name)
    return found


def sockets(token: str) -> list[str]:
    """Return the unix sockets of this network namespace whose name has `token`."""
    return [line for line in _lines("/proc/net/unix") if token in line]


def eventually(condition: Callable[[], bool], what: str, timeout_s: float = SETTLE_S) -> None:
    """Wait until `condition` holds; fail with `what` otherwise."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()


def _command(*words: str) -> list[str]:
    if shutil.which(words[0]) is None:
        return []
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=20)
    # counters and times of rules change by themselves
    return [re.sub(r"\[\d+:\d+\]", "", line) for line in done.stdout.splitlines() if not line.startswith("#")]
