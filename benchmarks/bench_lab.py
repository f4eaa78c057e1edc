"""`meshnet lab up` and `meshnet lab down` against Mininet making and removing the same hosts and links.

A ring with random links across it: 200 hosts with 300 links, 1000 with 1500. Ours is the command line, the plugin and
the daemon of one node, one address an end, pods without a process (and, 200 only, with one: Mininet has a shell a
host). Mininet: its Python API, hosts and links alone, one address an end.

up: from the start of the command until every link is up. down: from the command, or Mininet's stop(), until the kernel
has removed the interfaces, told by a veth that is given to a namespace which ends after them. Neither begins before the
kernel has finished with what was there before.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import box
import wiring
from figures import Report

from meshnet.errors import KernelError
from meshnet.netlink import Netlink, VethSpec, links, netns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from figures import Figure
    from wiring import Cable

SENTINEL = 1 << 21
PATIENCE_S = 120.0
COMMAND = (sys.executable, "-m", "meshnet", "lab")
MININET = ("/usr/bin/python3", str(Path(__file__).with_name("mininet_lab.py")))
SPIKE_S = {(200, 300): (0.56, 0.22), (1000, 1500): (3.9, 1.1)}


def kernel_finished() -> None:
    """Return when the kernel has removed every namespace that ended before this call."""
    fd = netns.anonymous_netns()
    with Netlink.open() as netlink:
        netlink.run([links.new_veth(VethSpec("sentinel", SENTINEL, "02:00:00:00:00:01", 1500,
                                             "inside", "02:00:00:00:00:02", fd))])  # fmt: skip
        os.close(fd)
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            try:
                netlink.ask(links.get_link(SENTINEL))
            except KernelError:
                return
            time.sleep(0.002)
    sys.exit(f"the kernel still removes interfaces after {PATIENCE_S:g} s")


def ours(manifest: Path) -> tuple[float, float, float]:
    """Return seconds of up, of down's command, and of down until the kernel has finished."""
    began = time.perf_counter()
    run("up", "--quiet", "--lab", "bench", "--wait", "120", str(manifest))
    up = time.perf_counter() - began
    began = time.perf_counter()
    run("down", "--quiet", "bench")
    command = time.perf_counter() - began
    kernel_finished()
    return up, command, time.perf_counter() - began


def run(*arguments: str) -> None:
    done = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        sys.exit(f"lab {' '.join(arguments)}: {done.stdout}{done.stderr}")


def theirs(made: Sequence[Cable]) -> tuple[float, float]:
    """Return seconds of Mininet's way up, and down until the kernel has finished."""
    began = time.perf_counter()
    with subprocess.Popen(
        MININET, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.writelines(
            f"{cable.left} {cable.left_interface} {cable.left_address} "
            f"{cable.right} {cable.right_interface} {cable.right_address}\n"
            for cable in made
        )
        process.stdin.write("end\n")
        process.stdin.flush()
        if process.stdout.readline() != "up\n":
            sys.exit(f"mininet does not come up: {process.stderr.read()[-800:]}")
        up = time.perf_counter() - began
        began = time.perf_counter()
        process.stdin.write("down\n")
        process.stdin.close()
        if process.stdout.readline() != "down\n":
            sys.exit(f"mininet does not go down: {process.stderr.read()[-800:]}")
        kernel_finished()
        return up, time.perf_counter() - began


def add_figures(report: Report, size: tuple[int, int]) -> tuple[Figure, Figure, Figure, Figure, Figure]:
    name = f"{size[0]}/{size[1]}"
    goals = SPIKE_S[size]
    return (
        report.figure(f"lab up {name}", "s", must=0.35),
        report.figure(f"lab down {name}", "s", must=0.1),
        report.figure(f"lab up {name}, by itself", "s", goal=goals[0], of_ratio=False),
        report.figure(f"lab down {name}, by itself", "s", goal=goals[1], of_ratio=False),
        report.figure(f"lab down {name}, the command", "s", of_ratio=False),
    )


def compare(size: tuple[int, int], report: Report, rounds: int, their_rounds: int, patience_s: float) -> None:
    made = wiring.ring_with_chords(*size)
    manifest = Path("/run/lab.json")
    manifest.write_text(wiring.manifest(made))
    up, down, up_alone, down_alone, command = add_figures(report, size)
    for number in range(rounds):
        kernel_finished()
        report.quiet(patience_s)
        took = ours(manifest)
        for figures, seconds in (((up, up_alone), took[0]), ((down, down_alone), took[2]), ((command,), took[1])):
            for figure in figures:
                figure.ours.append(seconds)
        if number < their_rounds:
            other = theirs(made)
            up.theirs.append(other[0])
            down.theirs.append(other[1])


def with_processes(report: Report, rounds: int, patience_s: float) -> None:
    figures = (
        report.figure("lab up 200/300, a process a pod", "s", of_ratio=False),
        report.figure("lab down 200/300, a process a pod", "s", of_ratio=False),
    )
    manifest = Path("/run/lab.json")
    manifest.write_text(wiring.manifest(wiring.ring_with_chords(200, 300), ("sleep", "3600")))
    for _ in range(rounds):
        kernel_finished()
        report.quiet(patience_s)
        took = ours(manifest)
        figures[0].ours.append(took[0])
        figures[1].ours.append(took[2])


def main() -> None:
    most = {"type": int, "default": 1, "metavar": "N", "help": "rounds of Mininet with 1000 hosts (default: 1)"}
    asked = box.options(__doc__, mininet_rounds=most)
    if not Path("/usr/lib/python3/dist-packages/mininet").is_dir():
        sys.exit("bench_lab: Debian's package mininet is needed")
    box.enter()
    report = Report("bench_lab", asked.rounds, asked.output)
    compare((200, 300), report, asked.rounds, asked.rounds, asked.patience)
    with_processes(report, asked.rounds, asked.patience)
    if not asked.quick:
        compare((1000, 1500), report, asked.rounds, asked.mininet_rounds, asked.patience)
    report.finish()


if __name__ == "__main__":
    main()
