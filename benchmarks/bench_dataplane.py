"""How fast frames get from one pod to another on the same node, against a veth that joins two namespaces directly.

default: a link as it is made by default (mirred, receiving port with tx off), against a direct veth with tx off in both
namespaces, as upstream makes it. offload: a link with `options.offload: true`, against a plain direct veth.

TCP is one iperf3 stream between two processors, what the receiver got. Packets are UDP datagrams of 22 bytes (64 bytes
of Ethernet), sent 64 a system call by one process on one processor and counted where a process on another one receives
them (packets.c). Both sides take turns several times in a round, A B B A; a round's value is the best, since
what else runs on the machine only takes away.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

import box
from figures import Report
from local_node import BenchNode
from programs import ROOT, compiled
from wiring import cables, topologies

from meshnet.netlink import Ethtool, Netlink, VethSpec, bpf, links, netns
from meshnet.netlink.addresses import add_address

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from figures import Figure

PORT = "5300"
SLICES = 4
PROCESSORS = f"{min(os.sched_getaffinity(0))},{max(os.sched_getaffinity(0))}"
PAYLOAD = 64 - 14 - 20 - 8
DIRECT_INDEX = 1 << 21


class Pair(NamedTuple):
    """Two namespaces, and the address of the second."""

    sender: str
    receiver: str
    address: str


class Kind(NamedTuple):
    """A kind of link: what it is compared with, and the bounds (must, goal) of stream and small packets."""

    name: str
    against: str
    stream: tuple[float, float]
    small: tuple[float, float]

    def figures(self, report: Report) -> tuple[Figure, Figure, Figure]:
        """Add its figures: TCP, packets received, packets sent."""
        better = {"higher_is_better": True, "note": NOTE}
        return (
            report.figure(f"TCP, {self.name}", "Gbit/s", must=self.stream[0], goal=self.stream[1], **better),
            report.figure(
                f"64-byte packets received, {self.name}", "kpps", must=self.small[0], goal=self.small[1], **better
            ),
            report.figure(f"64-byte packets sent, {self.name}", "kpps", **better),
        )


NOTE = "theirs: a direct veth with tx off in both namespaces for default, a plain one for offload"
KINDS = {
    kind.name: kind
    for kind in (
        Kind("default", "direct, tx off", (0.95, 1.0), (0.75, 0.95)),
        Kind("offload", "direct", (0.9, 0.95), (0.85, 0.95)),
    )
}


def direct(name: str, number: int, *, tx: bool) -> Pair:
    """Make a veth between two new namespaces."""
    paths = [f"/run/netns/{name}-{end}" for end in "ab"]
    fds = []
    for path in paths:
        netns.new_netns(path)
        fds.append(netns.open_netns(path))
    spec = VethSpec("eth1", DIRECT_INDEX + number, f"02:00:00:00:{number:02x}:01", 0, 1500, "eth1",
                    f"02:00:00:00:{number:02x}:02", fds[1], DIRECT_INDEX + 100 + number)  # fmt: skip
    with Netlink.open(fds[0]) as netlink:
        netlink.run([links.new_veth(spec)])
    for end, fd in enumerate(fds):
        index = DIRECT_INDEX + number + 100 * end
        with Netlink.open(fd) as netlink:
            netlink.run([add_address(index, f"10.{200 + number}.0.{end + 1}/30"), links.set_link(index, up=True)])
        if not tx:
            with Ethtool(fd) as ethtool:
                ethtool.set_tx_checksum("eth1", on=False)
        os.close(fd)
    return Pair(*paths, f"10.{200 + number}.0.2")


@contextlib.contextmanager
def every_pair() -> Iterator[dict[str, Pair]]:
    """Make all that is compared, by name."""
    made = cables([("a1", "b1"), ("a2", "b2")])
    documents = topologies(made[:1]) + topologies(made[1:], options={"offload": True})
    with BenchNode.running(documents) as node:
        pods = node.attach(["a1", "b1", "a2", "b2"])
        address = [cable.right_address.partition("/")[0] for cable in made]
        yield {
            "default": Pair(pods["a1"].path, pods["b1"].path, address[0]),
            "direct, tx off": direct("txoff", 1, tx=False),
            "offload": Pair(pods["a2"].path, pods["b2"].path, address[1]),
            "direct": direct("plain", 2, tx=True),
        }


def inside(path: str, *command: str) -> list[str]:
    return ["nsenter", f"--net={path}", *command]


def tcp(pair: Pair, seconds: float) -> float:
    """Return Gbit/s of one stream, as the receiver got it."""
    server = subprocess.Popen(
        inside(pair.receiver, "iperf3", "-s", "-1", "--forceflush"), stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        while "listening" not in (line := server.stdout.readline()):
            if not line:
                sys.exit("iperf3 -s does not start")
        client = inside(pair.sender, "iperf3", "-J", "-t", f"{seconds:g}", "-A", PROCESSORS, "-c", pair.address)
        done = subprocess.run(client, capture_output=True, text=True, timeout=seconds + 20, check=False)
        result = json.loads(done.stdout)
        if "error" in result:
            sys.exit(f"iperf3: {result['error']}")
        return float(result["end"]["sum_received"]["bits_per_second"]) / 1e9
    finally:
        server.kill()
        server.communicate()


def packets(program: Path, pair: Pair, seconds: float) -> tuple[float, float]:
    """Return thousand packets a second: received, sent."""
    first, last = PROCESSORS.split(",")
    receiver = subprocess.Popen(
        inside(pair.receiver, str(program), "receive", PORT, last), stdout=subprocess.PIPE, text=True
    )
    try:
        assert receiver.stdout is not None
        if receiver.stdout.readline() != "ready\n":
            sys.exit("the receiver of packets does not start")
        send = ["send", pair.address, PORT, str(PAYLOAD), f"{seconds * 1000:.0f}", first]
        sent = subprocess.run(
            inside(pair.sender, str(program), *send), capture_output=True, text=True, timeout=60, check=True
        )
        got, _ = receiver.communicate(timeout=60)
    finally:
        receiver.kill()
        receiver.wait()
    return _rate(got), _rate(sent.stdout)


def _rate(said: str) -> float:
    count, nanoseconds = map(int, said.split())
    return count / nanoseconds * 1e6


def alternating(
    measure: Callable[[Pair], Sequence[float]], ours: Pair, theirs: Pair, slices: int
) -> list[tuple[float, float]]:
    """Measure both sides in turns, A B B A; return (ours, theirs) for each number that `measure` gives: the best."""
    found: dict[Pair, list[Sequence[float]]] = {ours: [], theirs: []}
    for number in range(slices):
        for pair in (ours, theirs) if number % 2 == 0 else (theirs, ours):
            found[pair].append(measure(pair))
    best = [[max(column) for column in zip(*found[pair], strict=True)] for pair in (ours, theirs)]
    return list(zip(*best, strict=True))


def add(figure: Figure, values: tuple[float, float]) -> None:
    figure.ours.append(values[0])
    figure.theirs.append(values[1])


def main() -> None:
    asked = box.options(__doc__)
    box.enter()
    program = compiled(ROOT / "benchmarks" / "packets.c")
    report = Report("bench_dataplane", asked.rounds, asked.output)
    figures = {name: kind.figures(report) for name, kind in KINDS.items()}
    slices, seconds = (2, 0.5) if asked.quick else (SLICES, 0.7)
    with every_pair() as pairs:
        for _ in range(asked.rounds):
            report.quiet(asked.patience)
            for name, kind in KINDS.items():
                stream, *small = figures[name]
                sides = (pairs[name], pairs[kind.against])
                (speed,) = alternating(lambda pair: (tcp(pair, 1),), *sides, slices)
                add(stream, speed)
                rates = alternating(lambda pair: packets(program, pair, seconds), *sides, slices)
                for figure, values in zip(small, rates, strict=True):
                    add(figure, values)
    if why := bpf.why_unusable():
        figures["offload"][0].note = f"offload is by mirred here, since bpf_redirect_peer cannot be had: {why}"
    report.finish()


if __name__ == "__main__":
    main()
