"""How fast frames get from a pod of one node to a pod of another: by vxlan, and by grpcwire with TLS.

vxlan: against a VXLAN device moved into each pod, as upstream makes it; default: with tx off in both pods, offload:
plain. grpcwire: against upstream's wire, a unary call a frame (rival/README.md), whose pods have tx off; and against
plain TCP between the nodes. Interfaces have an MTU of 1450 with vxlan, and of 1500 with wires, on an underlay of 1500.

TCP and packets: see traffic.py. Loss-free: the highest rate at which all packets but one of a thousand arrive. RTT: of
pings 1 ms apart, nothing else on the way, and of the same between the nodes themselves; after 10 ms without a packet
the processors' caches are cold, and all of it takes twice to five times as long: that is told beside it. Sides take
turns in each round, A B B A; a round's value is the best. gRPC alone: messages as large as those of a full wire, and
round trips of small ones, by the same TLS and with nothing at their ends (bare_stream.py); it tells what this machine
gives a wire today.
"""

from __future__ import annotations

import contextlib
import statistics
from typing import TYPE_CHECKING, Any, NamedTuple

import box
from bare_stream import bare_stream
from figures import Report, percentile
from joined_nodes import NODES, JoinedNodes
from programs import ROOT, built_with_go, compiled
from rivals import unary_wire, vxlan_in_pods
from traffic import Pair, add, alternating, loss_free, packets, pings, tcp
from wiring import cables, topologies

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from figures import Figure

LINKS: dict[str, dict[str, Any]] = {
    "vxlan, default": {"driver": "vxlan"},
    "vxlan, offload": {"driver": "vxlan", "options": {"offload": True}},
    "grpcwire, default": {"driver": "grpcwire", "mtu": 1500},
    "grpcwire, offload": {"driver": "grpcwire", "mtu": 1500, "options": {"offload": True}},
}
IN_PODS = {"vxlan, default": "vxlan in the pods, tx off", "vxlan, offload": "vxlan in the pods"}
UNARY = "unary"
PLAIN = "plain TCP"
FASTER = {"higher_is_better": True}
FIRST_GUESS = {"grpcwire, default": 40.0, UNARY: 4.0}


class Scale(NamedTuple):
    """How much is measured: turns of each side, seconds of a load of packets, pings."""

    turns: int
    seconds: float
    pings: int


@contextlib.contextmanager
def every_pair(rival: Path | None) -> Iterator[tuple[JoinedNodes, dict[str, Pair]]]:
    """Make all that is compared, by name, and the nodes that it is between."""
    made = cables([(f"n1-{number}", f"n2-{number}") for number in range(len(LINKS))])
    documents = [
        document
        for cable, settings in zip(made, LINKS.values(), strict=True)
        for document in topologies([cable], **settings)
    ]
    with JoinedNodes.running(documents) as nodes, contextlib.ExitStack() as rivals:
        nodes.attach([name for cable in made for name in (cable.left, cable.right)])
        pairs = {
            name: Pair(nodes.pods[cable.left].path, nodes.pods[cable.right].path, cable.right_address.partition("/")[0])
            for name, cable in zip(LINKS, made, strict=True)
        }
        pairs["vxlan in the pods"] = vxlan_in_pods(nodes, "vx", 1, tx=True)
        pairs["vxlan in the pods, tx off"] = vxlan_in_pods(nodes, "vxoff", 2, tx=False)
        sender, receiver = (nodes.nodes[name] for name in NODES)
        pairs[PLAIN] = Pair(sender.path, receiver.path, receiver.address)
        if rival is not None:
            pairs[UNARY], _ = rivals.enter_context(unary_wire(nodes, rival, 3))
        for pair in pairs.values():
            pings(pair, 3, 0.1)
        yield nodes, pairs


class Vxlan:
    """Figures of links by vxlan."""

    def __init__(self, report: Report, program: Path) -> None:
        self._program = program
        self._figures = {
            name: (
                report.figure(f"TCP, {name}", "Gbit/s", must=0.85, goal=0.95, **FASTER),
                report.figure(f"64-byte packets received, {name}", "kpps", must=0.75, goal=0.95, **FASTER),
            )
            for name in IN_PODS
        }

    def round(self, pairs: dict[str, Pair], scale: Scale) -> None:
        for name, (stream, small) in self._figures.items():
            sides = (pairs[name], pairs[IN_PODS[name]])
            add(stream, *alternating(lambda pair: (tcp(pair, 1),), *sides, scale.turns))
            rates = alternating(
                lambda pair: (packets(self._program, pair, scale.seconds).received,), *sides, scale.turns
            )
            add(small, *rates)


class Rtt:
    """Round trips of pings `interval_s` apart: what is in the middle, and the slowest of a hundred."""

    def __init__(self, report: Report, name: str, interval_s: float, **bounds: Any) -> None:
        self.interval_s = interval_s
        self._p50 = report.figure(f"{name}, p50", "ms", **bounds)
        self._p99 = report.figure(f"{name}, p99", "ms", **bounds | {"must": None, "goal": None})

    def round(self, sides: dict[str, Pair], count: int) -> None:
        for side, pair in sides.items():
            took = pings(pair, count, self.interval_s)
            getattr(self._p50, side).append(statistics.median(took))
            getattr(self._p99, side).append(percentile(took, 0.99))


class Wire:
    """Figures of links by grpcwire; the bounds are for its own values."""

    def __init__(self, report: Report, program: Path, note: str) -> None:
        self._program = program
        self._guess = dict(FIRST_GUESS)
        own = {"of_ratio": False, "note": note}
        self._streams = {
            "grpcwire, default": report.figure("TCP, grpcwire, default", "Gbit/s", must=1.5, goal=4, **FASTER, **own),
            "grpcwire, offload": report.figure("TCP, grpcwire, offload", "Gbit/s", must=5, goal=10, **FASTER, **own),
        }
        self._plain = report.figure("TCP, grpcwire, offload, against plain TCP", "Gbit/s", **FASTER)
        self._small = report.figure("64-byte packets, loss-free, grpcwire", "kpps", must=70, goal=150, **FASTER, **own)
        self._warm = Rtt(report, "idle RTT, grpcwire", 0.001, must=0.6, goal=0.3, **own)
        self._cold = Rtt(report, "RTT of pings 10 ms apart, grpcwire", 0.01, **own)
        self._nodes = [
            report.figure(f"{name} between the nodes, p50", "ms", of_ratio=False)
            for name in ("idle RTT", "RTT of pings 10 ms apart")
        ]

    def round(self, pairs: dict[str, Pair], scale: Scale) -> None:
        sides = {"ours": pairs["grpcwire, default"]} | ({"theirs": pairs[UNARY]} if UNARY in pairs else {})
        for name, figure in self._streams.items():
            self._stream(figure, pairs[name], pairs.get(UNARY), scale.turns)
        add(self._plain, *alternating(lambda pair: (tcp(pair, 1),), pairs["grpcwire, offload"], pairs[PLAIN], 2))
        for side, pair in sides.items():
            name = "grpcwire, default" if side == "ours" else UNARY
            self._guess[name] = loss_free(self._program, pair, scale.seconds, self._guess[name])
            getattr(self._small, side).append(self._guess[name])
        for rtt, nodes in zip((self._warm, self._cold), self._nodes, strict=True):
            rtt.round(sides, scale.pings)
            nodes.ours.append(statistics.median(pings(pairs[PLAIN], scale.pings, rtt.interval_s)))

    @staticmethod
    def _stream(figure: Figure, ours: Pair, theirs: Pair | None, turns: int) -> None:
        if theirs is None:
            figure.ours.append(max(tcp(ours, 1) for _ in range(turns)))
        else:
            add(figure, *alternating(lambda pair: (tcp(pair, 1),), ours, theirs, turns))


class GrpcAlone:
    """The same figures of wires, against what gRPC has between the same nodes without them."""

    def __init__(self, report: Report) -> None:
        self._stream = report.figure("TCP, grpcwire, offload, against gRPC alone", "Gbit/s", **FASTER)
        self._warm = report.figure("idle RTT, grpcwire, against gRPC alone, p50", "ms")

    def round(self, nodes: JoinedNodes, pairs: dict[str, Pair], scale: Scale) -> None:
        fast, idle = pairs["grpcwire, offload"], pairs["grpcwire, default"]
        streams = [tcp(fast, 1)]
        rtts = [statistics.median(pings(idle, scale.pings, 0.001))]
        alone = [bare_stream(nodes, 1), bare_stream(nodes, 1)]
        rtts.append(statistics.median(pings(idle, scale.pings, 0.001)))
        streams.append(tcp(fast, 1))
        add(self._stream, (max(streams), max(rate for rate, _ in alone)))
        add(self._warm, (min(rtts), min(rtt for _, rtt in alone)))


def main() -> None:
    asked = box.options(__doc__)
    rival, why_not = built_with_go(ROOT / "benchmarks" / "rival", may_build=not box.inside())
    box.enter()
    program = compiled(ROOT / "benchmarks" / "packets.c")
    report = Report("bench_between", asked.rounds, asked.output)
    scale = Scale(1, 0.4, 50) if asked.quick else Scale(3, 0.7, 200)
    kinds = (Vxlan(report, program), Wire(report, program, why_not or "theirs, grpcwire: upstream's wire"))
    alone = GrpcAlone(report)
    with every_pair(rival) as (nodes, pairs):
        for _ in range(asked.rounds):
            report.quiet(asked.patience)
            for kind in kinds:
                kind.round(pairs, scale)
            alone.round(nodes, pairs, scale)
    report.finish()


if __name__ == "__main__":
    main()
