"""Where a benchmark runs: in namespaces of its own, which end with it and leave nothing on the machine."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from figures import RESULTS

from meshnet.netlink import Netlink, links

_INSIDE = "MESHNET_BENCH_INSIDE"
QUICK_ROUNDS = 2


def options(doc: str, **more: dict[str, object]) -> argparse.Namespace:
    """Parse the arguments that every benchmark has, and those of `more` (name to `add_argument`'s settings)."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=None, metavar="N", help="of both sides, in turns (default: 5)")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_ROUNDS} rounds of smaller sizes")
    parser.add_argument(
        "--patience", type=float, default=10.0, metavar="S", help="wait so long for a quiet machine before each round"
    )
    parser.add_argument(
        "--output", type=Path, default=RESULTS, metavar="DIR", help="where NAME.json is written (default: build/bench)"
    )
    for name, settings in more.items():
        parser.add_argument("--" + name.replace("_", "-"), **settings)  # type: ignore[arg-type]
    asked = parser.parse_args()
    if asked.rounds is None:
        asked.rounds = QUICK_ROUNDS if asked.quick else 5
    return asked


def inside() -> bool:
    """Tell whether this program is in its namespaces already: all that is before `enter` runs twice."""
    return os.environ.get(_INSIDE) == "yes"


def enter() -> None:
    """Go on in network, mount and PID namespaces of this benchmark's own; for who is not root in a user namespace, too.

    The program is started again in there. /run is empty there, and every process ends with this one.
    """
    if not inside():
        user = () if os.geteuid() == 0 else ("--user", "--map-root-user")
        kinds = ("--net", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc")
        os.environ[_INSIDE] = "yes"
        os.execvp("unshare", ["unshare", *user, *kinds, sys.executable, *sys.argv])
    os.environ["PATH"] += ":/usr/local/sbin:/usr/sbin:/sbin"
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", "/run"], check=True)
    Path("/run/netns").mkdir()
    with Netlink.open() as netlink:
        netlink.run([links.set_link(1, up=True)])
