"""The daemon's own limits, in a process of their own: a limit that was raised stays."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import resource
from meshnet.daemon.limits import raise_descriptor_limit

soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
raise_descriptor_limit()
print(resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard))
"""


def test_as_many_descriptors_as_the_process_may_have() -> None:
    ran = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=30, check=True)
    assert ran.stdout == "True\n"
