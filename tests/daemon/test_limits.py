"""The daemon's own limits, in a process of their own: a limit that was raised stays."""

from __future__ import annotations

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
after = os.getpriority(os.PRIO_PROCESS, 0)
try:
    os.setpriority(os.PRIO_PROCESS, 0, int(sys.argv[2]))
    allowed = True
except PermissionError:
    allowed = False
print(before, after, int(allowed))
"""


def priorities(told: int) -> tuple[int, int, bool]:
    """Return the priority of a process that was told to be so nice, before and after, and whether it may have any."""
    command = [sys.executable, "-c", GOES_FIRST, str(told), str(NICE)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    before, after, allowed = map(int, ran.stdout.split())
    return before, after, bool(allowed)


def test_it_goes_before_others_where_it_may() -> None:
    before, after, allowed = priorities(0)
    assert after == (NICE if before == 0 and allowed else before)


def test_what_it_was_told_stays() -> None:
    before, after, _ = priorities(5)
    assert before > 0
    assert after == before


def test_as_many_descriptors_as_the_process_may_have() -> None:
    ran = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=30, check=True)
    assert ran.stdout == "True\n"
