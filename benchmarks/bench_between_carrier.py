"""How soon the carrier of a link between nodes tells what happened to the pod at its other end, or to the link.

link down, up: in a pod, from just before that is sent to the kernel until the event at a netlink socket in the peer's
namespace on the other node. In between: the event to the daemon, the session, the other daemon's change of its port.
Beside a full one: while a TCP stream (streams.c) fills another link of that driver.

pod deleted, back: from the start of the plugin's DEL, and of its ADD, until the peer's event. unplugged, plugged in:
from just before `down` is written into the Topologies, as `meshnet link down` does, or taken out of them, until the
events of both ends.
"""

from __future__ import annotations

import contextlib
import os
import random
import sys
import time
from typing import TYPE_CHECKING

import box
from carrier import Carrier, End, both, carrier_round, down_and_up
from figures import Report
from joined_nodes import JoinedNodes
from local_node import fill_store
from programs import ROOT, compiled
from traffic import Pair, full
from wiring import SEED, cables, topologies

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from local_node import BenchNode, BenchPod
    from wiring import Cable

DRIVERS = ("vxlan", "grpcwire")
LINKS = 20
FULL_AT_MOST_S = 60.0
WARM_S = 0.5
PAUSE_S = 0.01
INTERFACE = "eth1"
SOON = (10, None, 2, None)
"""Milliseconds: must and goal of the median, the 99th percentile has none."""
FREE = (None,) * 4


class Links:
    """The links of one driver, and a round of each figure."""

    def __init__(self, nodes: JoinedNodes, made: Sequence[Cable], driver: str, report: Report) -> None:
        def ways(down: str, up: str, back: tuple[float | None, ...] = SOON) -> tuple[Carrier, Carrier]:
            return Carrier("lost", report, f"{driver}, {down}", SOON), Carrier("back", report, f"{driver}, {up}", back)

        self._nodes = nodes
        self._driver = driver
        self._full, self._moved, *self._free = made
        self._chance = random.Random(SEED)
        self._alone = ways("link down", "link up")
        self._beside = ways("link down, beside a full one", "link up, beside a full one")
        self._pod = ways("pod deleted", "pod back", FREE)
        self._cable = ways("unplugged", "plugged in")

    def round(self, program: Path, samples: int) -> None:
        carrier_round(self._alone, "ours", self._in_a_pod, samples)
        with self._filled(program):
            carrier_round(self._beside, "ours", self._in_a_pod, samples)
        carrier_round(self._pod, "ours", self._deleted, samples // 4)
        carrier_round(self._cable, "ours", self._unplugged, samples // 4)
        self._nodes.until_up()

    @contextlib.contextmanager
    def _filled(self, program: Path) -> Iterator[None]:
        sender, receiver = self._paths(self._full)
        address = self._full.right_address.partition("/")[0]
        with full(program, Pair(sender, receiver, address), [address], FULL_AT_MOST_S):
            time.sleep(WARM_S)
            yield

    def _in_a_pod(self) -> tuple[float, float]:
        ends = [(path, INTERFACE) for path in self._paths(self._chance.choice(self._free))]
        self._chance.shuffle(ends)
        with both(*ends) as (near, far):
            return down_and_up(near, far)

    def _deleted(self) -> tuple[float, float]:
        """Delete a pod and attach it again; return milliseconds until its peer's carrier is lost, and back."""
        pod = self._moved.right
        node, old = self._nodes.of(pod), self._nodes.pods[pod]
        with contextlib.closing(End(self._paths(self._moved)[0], INTERFACE)) as peer:
            lost = _until(peer, node, "DEL", old, carrier=False)
            new = self._nodes.sandbox(pod, node.name)
            back = _until(peer, node, "ADD", new, carrier=True)
        return lost * 1e3, back * 1e3

    def _unplugged(self) -> tuple[float, float]:
        cable = self._free[0]
        took = []
        with both(*((path, INTERFACE) for path in self._paths(cable))) as ends:
            for down in (True, False):
                documents = topologies([cable], driver=self._driver, **({"down": True} if down else {}))
                began = time.perf_counter()
                fill_store(documents)
                took.append((max(end.until(carrier=not down) for end in ends) - began) * 1e3)
                time.sleep(PAUSE_S)
        return took[0], took[1]

    def _paths(self, cable: Cable) -> tuple[str, str]:
        return self._nodes.pods[cable.left].path, self._nodes.pods[cable.right].path


def _until(peer: End, node: BenchNode, command: str, pod: BenchPod, *, carrier: bool) -> float:
    """Run the plugin; return seconds from its start until the peer's carrier is so, which may be before its end."""
    peer.clear()
    began = time.perf_counter()
    pid = node.start(command, pod)
    took = peer.until(carrier=carrier) - began
    _, status = os.waitpid(pid, 0)
    if status:
        sys.exit(f"{command} of {pod.name} failed: {node.last_words()}")
    return took


def main() -> None:
    asked = box.options(__doc__)
    box.enter()
    program = compiled(ROOT / "benchmarks" / "streams.c")
    samples = 40 if asked.quick else 200
    made = cables([(f"n1-{number}", f"n2-{number}") for number in range(LINKS * len(DRIVERS))])
    links = {driver: made[place * LINKS : (place + 1) * LINKS] for place, driver in enumerate(DRIVERS)}
    documents = [document for driver in DRIVERS for document in topologies(links[driver], driver=driver)]
    report = Report("bench_between_carrier", asked.rounds, asked.output)
    with JoinedNodes.running(documents) as nodes:
        nodes.attach([name for cable in made for name in (cable.left, cable.right)])
        every = [Links(nodes, links[driver], driver, report) for driver in DRIVERS]
        for _ in range(asked.rounds):
            report.quiet(asked.patience)
            for one in every:
                one.round(program, samples)
    report.finish()


if __name__ == "__main__":
    main()
