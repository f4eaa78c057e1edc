"""What happens between two nodes, and how soon: carrier, a node cut off and joined again, a daemon's restart, an ADD.

carrier: from just before a pod's `link down` (or up) is sent to the kernel until the event at a netlink socket in the
peer's namespace on the other node. In between: the event to the daemon, the session, the other daemon's change of its
port.

cut off: all frames of a node's uplink vanish, with no carrier lost there: until the pods of both nodes have lost
theirs. joined: frames pass again: until all have theirs again. Both are for the last of the links by either driver.

restart: a daemon was killed half a second ago: from the start of the new one (Python's own start in it) until a frame
of the other node's pod arrives, by grpcwire. Cables in the kernel (vxlan) carry all the time.

ADD: the peer's pod runs on the other node and sends frames: from the answer to the second pod's ADD until it gets one.
"""

from __future__ import annotations

import contextlib
import random
import statistics
import time
from typing import TYPE_CHECKING

import beacon
import box
from carrier import Carrier, End, both, carrier_round, down_and_up
from figures import Report
from two_nodes import NODES, TwoNodes
from wiring import SEED, cables, topologies

from meshnet.lab.uplink import Cut

if TYPE_CHECKING:
    from wiring import Cable

DRIVERS = ("vxlan", "grpcwire")
LINKS = 20
DEAD_PATIENCE_S = 15.0
STAYS_CUT_S = 2.0
STAYS_AWAY_S = 0.5
INTERFACE = "eth1"


class Between:
    """The nodes, the links of each driver, and a round of each figure."""

    def __init__(self, nodes: TwoNodes, links: dict[str, list[Cable]], report: Report) -> None:
        self._nodes = nodes
        self._links = links
        self._chance = random.Random(SEED)
        where = f"between nodes, {LINKS * len(DRIVERS)} links"
        self._ways = (Carrier("down", report, where, (10, None, 2, None)),
                      Carrier("up", report, where, (None,) * 4))  # fmt: skip
        own = {"of_ratio": False}
        self._lost = report.figure("node cut off, until its links lost carrier", "s", must=3, **own)
        self._back = report.figure("node joined again, until they have it", "s", must=1, **own)
        self._restart = {
            name: report.figure(f"daemon of {name} restarts, until grpcwire carries", "s", must=2, **own)
            for name in NODES
        }
        self._added = {
            driver: report.figure(f"second ADD's answer to the first frame, {driver}", "ms", **own)
            for driver in DRIVERS
        }

    def carriers(self, samples: int) -> None:
        def pair() -> tuple[float, float]:
            cable = self._chance.choice(self._links[self._chance.choice(DRIVERS)])
            ends = [(self._nodes.pods[name].path, INTERFACE) for name in (cable.left, cable.right)]
            self._chance.shuffle(ends)
            with both(*ends) as (near, far):
                return down_and_up(near, far)

        carrier_round(self._ways, "ours", pair, samples)

    def isolation(self) -> None:
        cables_of = [self._links[driver][0] for driver in DRIVERS]
        names = [name for cable in cables_of for name in (cable.left, cable.right)]
        with contextlib.ExitStack() as closing:
            ends = [End(self._nodes.pods[name].path, INTERFACE) for name in names]
            for end in ends:
                closing.callback(end.close)
                end.clear()
            node = self._nodes.nodes["n2"]
            for cut, carrier, figure in ((Cut.BOTH, False, self._lost), (Cut.NONE, True, self._back)):
                began = time.perf_counter()
                node.set_cut(cut)
                last = max(end.until(carrier=carrier, patience_s=DEAD_PATIENCE_S) for end in ends)
                figure.ours.append(last - began)
                time.sleep(STAYS_CUT_S)
        self._nodes.until_up()

    def restarts(self) -> None:
        cable = self._links["grpcwire"][0]
        sender, receiver = (self._nodes.pods[name].path for name in (cable.left, cable.right))
        for name, figure in self._restart.items():
            node = self._nodes.nodes[name]
            with beacon.sent(sender, INTERFACE), contextlib.closing(beacon.Ear(receiver)) as ear:
                node.kill_daemon()
                time.sleep(STAYS_AWAY_S)
                ear.clear()
                began = time.perf_counter()
                node.start_daemon()
                figure.ours.append(ear.first() - began)
            node.until_ready()
            self._nodes.until_up()

    def additions(self, samples: int) -> None:
        for driver, figure in self._added.items():
            figure.ours.append(statistics.median(self._addition(self._links[driver][1]) for _ in range(samples)))

    def _addition(self, cable: Cable) -> float:
        """Delete and attach the right pod; return milliseconds from the answer to its first frame."""
        node = self._nodes.of(cable.right)
        old = self._nodes.pods[cable.right]
        node.call("DEL", old)
        old.remove()
        new = self._nodes.pods[cable.right] = node.pod(cable.right)
        near = self._nodes.pods[cable.left].path
        with beacon.sent(near, INTERFACE), contextlib.closing(beacon.Ear(new.path)) as ear:
            node.call("ADD", new)
            answered = time.perf_counter()
            took = ear.first() - answered
        self._nodes.until_up()
        return max(took, 0.0) * 1e3


def main() -> None:
    asked = box.options(__doc__)
    box.enter()
    samples, again = (40, 3) if asked.quick else (200, 10)
    made = cables([(f"n1-{number}", f"n2-{number}") for number in range(LINKS * len(DRIVERS))])
    links = {driver: made[place * LINKS : (place + 1) * LINKS] for place, driver in enumerate(DRIVERS)}
    documents = [document for driver in DRIVERS for document in topologies(links[driver], driver=driver)]
    report = Report("bench_between_events", asked.rounds, asked.output)
    with TwoNodes.running(documents) as nodes:
        nodes.attach([name for cable in made for name in (cable.left, cable.right)])
        between = Between(nodes, links, report)
        for _ in range(asked.rounds):
            report.quiet(asked.patience)
            between.carriers(samples)
            between.additions(again)
            between.restarts()
            between.isolation()
    report.finish()


if __name__ == "__main__":
    main()
