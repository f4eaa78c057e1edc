"""The daemon's own limits, in a process of their own: a limit that was raised stays."""

from __future__ import annotations

import os
import resource
import subprocess
import sys

from meshnet.daemon.limits import NICE

SCRIPT = """
import resource
from meshnet.daemon.limits import raise_descriptor_limit

soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
raise_descriptor_limit()
print(resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard))
"""

GOES_FIRST = """
import os, sys
from meshnet.daemon.limits import go_first

os.nice(int(sys.argv[1]))
before = os.getpriority(os.PRIO_PROCESS, 0)
go_first()
print(before, os.getpriority(os.PRIO_PROCESS, 0))
"""


def priorities(told: int) -> tuple[int, int]:
    """Return the priority of a process that was told to be as nice as that, before and after."""
    command = [sys.executable, "-c", GOES_FIRST, str(told)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    before, after = map(int, ran.stdout.split())
    return before, after


def test_it_goes_before_others_where_it_may() -> None:
    before, after = priorities(0)
    allowed = resource.getrlimit(resource.RLIMIT_NICE)[0] >= 20 - NICE or os.geteuid() == 0
    assert after == (NICE if before == 0 and allowed else before)


def test_what_it_was_told_stays() -> None:
    assert priorities(5) in {(number, number) for number in range(1, 20)}


def test_as_many_descriptors_as_the_process_may_have() -> None:
    ran = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=30, check=True)
    assert ran.stdout == "True\n"
