"""How soon a link between nodes is whole again after a pod restarts or moves, or after an edit of Topologies.

Two links, alike but for the pod that moves: the lower one of its link's two names, and the higher. A value is the worst
of all that a round tries with both, from just before the change until a frame of each end has come to the
other.

restarted, moved: the pod's DEL, its new sandbox, its ADD (here or on another node), the frames; on the peer's node the
link is by another driver. other peers: two links, between nodes and within one, exchange their ends, in one write, and
back. deleted: from the first delete until neither end has carrier; declared again: from that write.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, NamedTuple

import beacon
import box
from carrier import End
from figures import Report
from joined_nodes import JoinedNodes
from local_node import delete_topology, fill_store
from wiring import cables, pod_names, topologies

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from figures import Figure

DRIVERS = ("vxlan", "grpcwire")
INTERFACE = "eth1"
MUST_MS = 2000
PATIENCE_S = 15.0


class Scene(NamedTuple):
    """The pod that moves, and its peer; the names begin with the node where each is at first."""

    pod: str
    peer: str


SCENES = (Scene("n1-a", "n2-a"), Scene("n2-b", "n1-b"))
OTHERS = ("n3-c", "n3-d")
AWAY = "n3"
WIRED = [*SCENES, OTHERS]


def moves(nodes: JoinedNodes, scene: Scene) -> Iterator[tuple[str, float]]:
    """Restart the pod, and take it round the nodes."""
    home, peers = (name.partition("-")[0] for name in scene)
    for what, node in (
        ("restarted", home),
        ("moved away", AWAY),
        ("moved to the peer's node", peers),
        ("moved back", home),
    ):
        began = time.perf_counter()
        new = nodes.sandbox(scene.pod, node)
        with ears(nodes, *scene) as heard, beacon.sent(nodes.pods[scene.peer].path, INTERFACE):
            nodes.of(scene.pod).call("ADD", new)
            with beacon.sent(new.path, INTERFACE):
                yield what, heard.last() - began
        nodes.until_up()


def edits(nodes: JoinedNodes, scene: Scene) -> Iterator[tuple[str, float]]:
    """Let both ends of the link exchange peers with those of another one, and take it back."""
    exchanged = [pair for pair in SCENES if pair != scene] + list(zip(scene, OTHERS, strict=True))
    for what, wired, other in (("other peers", exchanged, OTHERS[0]), ("the peers that were", WIRED, scene.peer)):
        with ears(nodes, scene.pod, other) as heard, sending(nodes, scene.pod, other):
            began = time.perf_counter()
            fill_store(topologies(cables(wired)))
            yield what, heard.last() - began
        nodes.until_up()


def deletions(nodes: JoinedNodes, scene: Scene) -> Iterator[tuple[str, float]]:
    """Delete the Topology of either end, and of both; declare it again."""
    for whose, gone in (("the pod's", scene[:1]), ("the peer's", scene[1:]), ("both", scene)):
        with contextlib.ExitStack() as closing:
            ends = [closing.enter_context(contextlib.closing(End(nodes.pods[pod].path, INTERFACE))) for pod in scene]
            began = time.perf_counter()
            for pod in gone:
                delete_topology(pod)
            lost = max(end.until(carrier=False, patience_s=PATIENCE_S) for end in ends)
            yield f"Topology deleted, {whose}: no carrier", lost - began
        with ears(nodes, *scene) as heard, sending(nodes, *scene):
            began = time.perf_counter()
            fill_store(topologies(cables(WIRED)))
            yield f"declared again, {whose}", heard.last() - began
        nodes.until_up()


class Ears(NamedTuple):
    """An ear at each end."""

    ears: tuple[beacon.Ear, ...]

    def last(self) -> float:
        """Return when (`time.perf_counter`) each end has heard a frame."""
        return max(ear.first() for ear in self.ears)


@contextlib.contextmanager
def ears(nodes: JoinedNodes, *pods: str) -> Iterator[Ears]:
    """Hear the frames that come to pods from now on."""
    with contextlib.ExitStack() as closing:
        made = (beacon.Ear(nodes.pods[pod].path) for pod in pods)
        yield Ears(tuple(closing.enter_context(contextlib.closing(ear)) for ear in made))


@contextlib.contextmanager
def sending(nodes: JoinedNodes, *pods: str) -> Iterator[None]:
    """Let pods send frames all the time."""
    with contextlib.ExitStack() as over:
        for pod in pods:
            over.enter_context(beacon.sent(nodes.pods[pod].path, INTERFACE))
        yield


def once(nodes: JoinedNodes, scene: Scene) -> dict[str, float]:
    """Make every change once; return the seconds of each by its name."""
    return {name: seconds for change in (moves, edits, deletions) for name, seconds in change(nodes, scene)}


def add_round(figures: dict[str, Figure], report: Report, driver: str, tried: Sequence[Mapping[str, float]]) -> None:
    """Take the worst of each change."""
    for name in tried[0]:
        title = f"{driver}: {name}"
        if title not in figures:
            figures[title] = report.figure(title, "ms", must=MUST_MS, of_ratio=False)
        figures[title].ours.append(max(one[name] for one in tried) * 1e3)


def main() -> None:
    asked = box.options(__doc__)
    box.enter()
    again = 2 if asked.quick else 10
    report = Report("bench_between_moves", asked.rounds, asked.output)
    figures: dict[str, Figure] = {}
    made = cables(WIRED)
    for driver in DRIVERS:
        preferred = {"MESHNET_PREFER_BETWEEN_NODES": driver}
        with JoinedNodes.running(topologies(made), count=3, **preferred) as nodes:
            nodes.attach(pod_names(made))
            for _ in range(asked.rounds):
                report.quiet(asked.patience)
                tried = [once(nodes, scene) for _ in range(again) for scene in SCENES]
                add_round(figures, report, driver, tried)
    report.finish()


if __name__ == "__main__":
    main()
