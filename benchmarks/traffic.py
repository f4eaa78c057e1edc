"""Load between two namespaces: a TCP stream, small packets as fast as they go or as fast as all of them arrive, pings.

TCP is one iperf3 stream between two processors, what the receiver got. Packets are UDP datagrams of 22 bytes (64 bytes
of Ethernet), sent by one process on one processor and counted where a process on another one receives them (packets.c).
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from figures import Figure

PORT = "5300"
PROCESSORS = f"{min(os.sched_getaffinity(0))},{max(os.sched_getaffinity(0))}"
CONGESTION = "cubic"
"""Of iperf3's streams, ours and theirs: what Linux has unless it is told otherwise. Those of streams.c have reno."""
UNPACED = 'echo reno > /proc/sys/net/ipv4/tcp_congestion_control && exec "$@"'
"""A stream that began with bbr, which some machines have by default, paces itself whatever it is told later: it shows
its own estimate of a path, and its timers, not what the path carries. No namespace may be refused reno."""
PAYLOAD = 64 - 14 - 20 - 8
LARGEST_LOSS = 0.001
LONGEST_TAIL_S = 0.05
STEP = 1.25
SLOWEST_KPPS = 0.5
FASTEST_KPPS = 1000.0


class Pair(NamedTuple):
    """Two namespaces, and the address of the second."""

    sender: str
    receiver: str
    address: str


class Rates(NamedTuple):
    """What became of a load of packets: thousands a second, and whether it kept up.

    Attributes:
        received, sent: thousand packets a second.
        lost: share that did not arrive.
        tail_s: how much longer the receiver took than the sender.
    """

    received: float
    sent: float
    lost: float
    tail_s: float

    @property
    def whole(self) -> bool:
        """Tell whether (nearly) all arrived, and in time."""
        return self.lost <= LARGEST_LOSS and self.tail_s <= LONGEST_TAIL_S


def inside(path: str, *command: str) -> list[str]:
    """Return the command that runs `command` in a network namespace."""
    return ["nsenter", f"--net={path}", *command]


def unpaced(path: str, *command: str) -> list[str]:
    """As `inside`, for what opens streams of TCP. The namespace keeps that setting."""
    return inside(path, "sh", "-c", UNPACED, "sh", *command)


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
        how = ("-J", "-t", f"{seconds:g}", "-A", PROCESSORS, "-C", CONGESTION)
        client = unpaced(pair.sender, "iperf3", *how, "-c", pair.address)
        done = subprocess.run(client, capture_output=True, text=True, timeout=seconds + 20, check=False)
        result = json.loads(done.stdout)
        if "error" in result:
            sys.exit(f"iperf3: {result['error']}")
        return float(result["end"]["sum_received"]["bits_per_second"]) / 1e9
    finally:
        server.kill()
        server.communicate()


def packets(program: Path, pair: Pair, seconds: float, kpps: float = 0) -> Rates:
    """Send small packets for so long, `kpps` thousands a second or, with 0, as fast as it goes."""
    first, last = PROCESSORS.split(",")
    receiver = subprocess.Popen(
        inside(pair.receiver, str(program), "receive", PORT, last), stdout=subprocess.PIPE, text=True
    )
    try:
        assert receiver.stdout is not None
        if receiver.stdout.readline() != "ready\n":
            sys.exit("the receiver of packets does not start")
        send = ["send", pair.address, PORT, str(PAYLOAD), f"{seconds * 1000:.0f}", first, f"{kpps * 1000:.0f}"]
        done = subprocess.run(
            inside(pair.sender, str(program), *send), capture_output=True, text=True, timeout=60, check=True
        )
        got, _ = receiver.communicate(timeout=60)
    finally:
        receiver.kill()
        receiver.wait()
    (arrived, took), (sent, lasted) = (map(int, said.split()) for said in (got, done.stdout))
    received = arrived / took * 1e6 if took else 0.0
    return Rates(received, sent / lasted * 1e6, 1 - arrived / sent if sent else 1.0, (took - lasted) / 1e9)


def loss_free(program: Path, pair: Pair, seconds: float, begin: float) -> float:
    """Return the highest rate at which all packets arrive (but one of a thousand), in thousands a second."""
    return highest(lambda kpps: packets(program, pair, seconds, kpps).whole, begin)


def highest(passes: Callable[[float], bool], begin: float) -> float:
    """Return the highest rate that passes: searched from `begin` in steps of a quarter, then half a step more."""
    rate = begin
    if passes(rate):
        while rate < FASTEST_KPPS and passes(rate * STEP):
            rate *= STEP
    else:
        while rate > SLOWEST_KPPS:
            rate /= STEP
            if passes(rate):
                break
    between = rate * STEP**0.5
    return between if passes(between) else rate


@contextlib.contextmanager
def full(program: Path, pair: Pair, addresses: Sequence[str], seconds: float) -> Iterator[subprocess.Popen[str]]:
    """Have a TCP stream to each of the receiver's addresses (streams.c), for so long at most; yields what receives."""
    command, time_ms = [str(program)], f"{seconds * 1000:.0f}"
    receive = inside(pair.receiver, *command, "receive", PORT, str(len(addresses)), time_ms)
    with contextlib.ExitStack() as ends:
        receiving = subprocess.Popen(receive, stdout=subprocess.PIPE, text=True)
        ends.callback(end, receiving)
        assert receiving.stdout is not None
        if receiving.stdout.readline() != "ready\n":
            sys.exit("the receiver of streams does not start")
        sending = subprocess.Popen(unpaced(pair.sender, *command, "send", PORT, time_ms, *addresses))
        ends.callback(end, sending)
        yield receiving


def streams(program: Path, pair: Pair, addresses: Sequence[str], seconds: float) -> list[float]:
    """Return Gbit/s of a TCP stream to each of the receiver's addresses, all at once and from one process."""
    with full(program, pair, addresses, seconds) as receiving:
        said, _ = receiving.communicate(timeout=seconds + 60)
    if receiving.returncode:
        sys.exit("not all streams were there")
    got = dict(line.split() for line in said.splitlines())
    return [int(got[address]) * 8 / seconds / 1e9 for address in addresses]


def pings(pair: Pair, count: int, interval_s: float = 0.01) -> list[float]:
    """Return the milliseconds of each ping that was answered. Ends the benchmark when most are not."""
    ping = inside(pair.sender, "ping", "-n", "-c", str(count), "-i", f"{interval_s:g}", "-W", "1", pair.address)
    said = subprocess.run(ping, capture_output=True, text=True, timeout=60, check=False).stdout
    found = [float(time) for time in re.findall(r"time=([\d.]+) ms", said)]
    if len(found) < count / 2:
        sys.exit(f"{pair.sender} to {pair.address}: {len(found)} of {count} pings answered")
    return found


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
    """Take a round's values of both sides."""
    figure.ours.append(values[0])
    figure.theirs.append(values[1])


def end(process: subprocess.Popen[Any]) -> None:
    """Kill a process, and let go of its pipes."""
    process.kill()
    process.communicate()
