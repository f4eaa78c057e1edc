"""What happens to a node among others, and how soon that is known, or over; and the second ADD of a link.

A node cut off: all frames of its uplink vanish, those that come in or go out or both, with no carrier lost there: until
the pods of both nodes have lost theirs. Powered off: its daemon is killed and it is cut off at once. Shut down: its
daemon ends by SIGTERM, and a second later it is cut off: from then on. Back: it is joined again and, if that ended, its
daemon is started (Python's own start in it). Both are for the last of the links by either driver; the pods of a node
without a daemon keep their carrier.

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
from carrier import End
from figures import Report
from joined_nodes import NODES, JoinedNodes
from wiring import cables, topologies

from meshnet.lab.uplink import Cut
from meshnet.peers.subscribers import SIGN_OF_LIFE_S

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from figures import Figure
    from wiring import Cable

DRIVERS = ("vxlan", "grpcwire")
LINKS = 2
"""By each driver: one for the carrier, one for the ADD."""
DEAD_PATIENCE_S = 15.0
STAYS_CUT_S = 2.0
STAYS_AWAY_S = 0.5
STAYS_STOPPED_S = 1.0
INTERFACE = "eth1"


class Between:
    """The nodes, the links of each driver, and a round of each figure."""

    def __init__(self, nodes: JoinedNodes, links: dict[str, list[Cable]], report: Report) -> None:
        self._nodes = nodes
        self._links = links
        self._node = nodes.nodes["n2"]
        own = {"of_ratio": False}

        def lost_and_back(what: str) -> tuple[Figure, Figure]:
            lost = report.figure(f"node {what}, until links have no carrier", "s", must=3, **own)
            return lost, report.figure(f"node {what}, then back, until they have it", "s", must=1, **own)

        self._cut = {
            Cut.BOTH: lost_and_back("cut off"),
            Cut.IN: lost_and_back("that hears nothing"),
            Cut.OUT: lost_and_back("that is not heard"),
        }
        self._off = {
            self._node.kill_daemon: lost_and_back("powered off"),
            self._stop: lost_and_back("shut down"),
        }
        self._restart = {
            name: report.figure(f"daemon of {name} restarts, until grpcwire carries", "s", must=2, **own)
            for name in NODES
        }
        self._added = {
            driver: report.figure(f"second ADD's answer to the first frame, {driver}", "ms", **own)
            for driver in DRIVERS
        }

    def isolation(self) -> None:
        ends = [name for links in self._links.values() for name in (links[0].left, links[0].right)]
        for cut, figures in self._cut.items():
            self._lost_and_back(ends, figures, lambda cut=cut: self._node.set_cut(cut), self._join)  # type: ignore[misc]

    def without_daemon(self) -> None:
        near = [links[0].left for links in self._links.values()]
        for end, figures in self._off.items():
            end()
            self._lost_and_back(near, figures, lambda: self._node.set_cut(Cut.BOTH), self._return)
            self._node.until_ready()
            self._nodes.until_up()

    def _lost_and_back(
        self, pods: Sequence[str], figures: tuple[Figure, Figure], lose: Callable[[], None], back: Callable[[], None]
    ) -> None:
        """Measure until all these pods have lost their carrier, and then until all have it again."""
        with contextlib.ExitStack() as closing:
            ends = [
                closing.enter_context(contextlib.closing(End(self._nodes.pods[pod].path, INTERFACE))) for pod in pods
            ]
            # Whenever the last sign of life was: a cut in step with them would always measure the same part of a wait.
            time.sleep(random.uniform(0, SIGN_OF_LIFE_S))
            for do, carrier, figure in ((lose, False, figures[0]), (back, True, figures[1])):
                began = time.perf_counter()
                do()
                last = max(end.until(carrier=carrier, patience_s=DEAD_PATIENCE_S) for end in ends)
                figure.ours.append(last - began)
                time.sleep(STAYS_CUT_S)
        self._nodes.until_up()

    def _stop(self) -> None:
        self._node.stop_daemon()
        time.sleep(STAYS_STOPPED_S)

    def _join(self) -> None:
        self._node.set_cut(Cut.NONE)

    def _return(self) -> None:
        self._join()
        self._node.start_daemon()

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
        new = self._nodes.sandbox(cable.right, node.name)
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
    again = 3 if asked.quick else 10
    made = cables([(f"n1-{number}", f"n2-{number}") for number in range(LINKS * len(DRIVERS))])
    links = {driver: made[place * LINKS : (place + 1) * LINKS] for place, driver in enumerate(DRIVERS)}
    documents = [document for driver in DRIVERS for document in topologies(links[driver], driver=driver)]
    report = Report("bench_between_events", asked.rounds, asked.output)
    with JoinedNodes.running(documents) as nodes:
        nodes.attach([name for cable in made for name in (cable.left, cable.right)])
        between = Between(nodes, links, report)
        for _ in range(asked.rounds):
            report.quiet(asked.patience)
            between.additions(again)
            between.restarts()
            between.isolation()
            between.without_daemon()
    report.finish()


if __name__ == "__main__":
    main()
