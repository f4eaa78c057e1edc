"""How fast frames get from one pod to another on the same node, against a veth that joins two namespaces directly.

default: a link as it is made by default (mirred, receiving port with tx off), against a direct veth with tx off in both
namespaces, as upstream makes it. offload: a link with `options.offload: true`, against a plain direct veth.

TCP and packets: see traffic.py. All have an MTU of 1500. Both sides take turns several times in a round, A B B A; a
round's value is the best, since what else runs on the machine only takes away.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, NamedTuple

import box
from figures import Report
from local_node import BenchNode
from programs import ROOT, compiled
from traffic import Pair, add, alternating, packets, tcp
from wiring import cables, topologies

from meshnet.netlink import Ethtool, Netlink, VethSpec, bpf, links, netns
from meshnet.netlink.addresses import add_address

if TYPE_CHECKING:
    from collections.abc import Iterator

    from figures import Figure

SLICES = 4
MTU = 1500
DIRECT_INDEX = 1 << 21


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
    spec = VethSpec("eth1", DIRECT_INDEX + number, f"02:00:00:00:{number:02x}:01", MTU, "eth1",
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
    return Pair(paths[0], paths[1], f"10.{200 + number}.0.2")


@contextlib.contextmanager
def every_pair() -> Iterator[dict[str, Pair]]:
    """Make all that is compared, by name."""
    made = cables([("a1", "b1"), ("a2", "b2")])
    documents = topologies(made[:1], mtu=MTU) + topologies(made[1:], mtu=MTU, options={"offload": True})
    with BenchNode.running(documents) as node:
        pods = node.attach(["a1", "b1", "a2", "b2"])
        address = [cable.right_address.partition("/")[0] for cable in made]
        yield {
            "default": Pair(pods["a1"].path, pods["b1"].path, address[0]),
            "direct, tx off": direct("txoff", 1, tx=False),
            "offload": Pair(pods["a2"].path, pods["b2"].path, address[1]),
            "direct": direct("plain", 2, tx=True),
        }


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
                rates = alternating(lambda pair: packets(program, pair, seconds)[:2], *sides, slices)
                for figure, values in zip(small, rates, strict=True):
                    add(figure, values)
    if why := bpf.why_unusable():
        figures["offload"][0].note = f"offload is by mirred here, since bpf_redirect_peer cannot be had: {why}"
    report.finish()


if __name__ == "__main__":
    main()
