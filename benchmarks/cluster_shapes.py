"""What bench_cluster wires: rings, full meshes, a star, and twins that differ in their namespace alone."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import attrs
from wiring import cables, pod_names, topologies

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from wiring import Cable

IMAGE = "localhost/firstping:1"
NAMESPACES = ("bench-a", "bench-b")


@attrs.frozen
class Shape:
    """One topology.

    Attributes:
        name: as users call it.
        cables: its links, the same in each namespace.
        namespaces: where it is.
    """

    name: str
    cables: Sequence[Cable]
    namespaces: Sequence[str] = NAMESPACES[:1]

    @property
    def pods(self) -> int:
        return len(pod_names(self.cables)) * len(self.namespaces)

    @property
    def ends(self) -> int:
        return 2 * len(self.cables) * len(self.namespaces)

    def topologies(self) -> list[dict[str, Any]]:
        """Return a Topology a pod."""
        return [_inside(namespace, topology) for namespace in self.namespaces for topology in topologies(self.cables)]

    def pod_documents(self, nodes: Sequence[str]) -> list[dict[str, Any]]:
        """Return the pods, on nodes in turns, so that neighbours are mostly on different ones."""
        turns = itertools.cycle(nodes)
        return [
            _pod(namespace, name, next(turns), list(self._addresses(name)))
            for namespace in self.namespaces
            for name in pod_names(self.cables)
        ]

    def _addresses(self, pod: str) -> Iterator[str]:
        """What a pod is to ping: INTERFACE=ADDRESS of each link."""
        for cable in self.cables:
            if cable.left == pod:
                yield f"{cable.left_interface}={cable.right_address.partition('/')[0]}"
            if cable.right == pod:
                yield f"{cable.right_interface}={cable.left_address.partition('/')[0]}"


def ring(pods: int) -> Shape:
    return Shape(f"ring of {pods}", _ring(pods))


def mesh(pods: int) -> Shape:
    """Return a full mesh: each pod is linked with each other one."""
    return Shape(f"full mesh of {pods}", cables(itertools.combinations([f"p{here}" for here in range(pods)], 2)))


def star(pods: int) -> Shape:
    """Return a star: one pod is linked with each other one."""
    return Shape(f"star of {pods}", cables([("hub", f"p{here}") for here in range(pods - 1)]))


def twins(pods: int) -> Shape:
    """Return two rings of equal names and uids, in two namespaces."""
    return Shape(f"two rings of {pods} with equal uids", _ring(pods), NAMESPACES)


def _ring(pods: int) -> list[Cable]:
    return cables([(f"p{here}", f"p{(here + 1) % pods}") for here in range(pods)])


def _inside(namespace: str, document: dict[str, Any]) -> dict[str, Any]:
    return {**document, "metadata": {**document["metadata"], "namespace": namespace}}


def _pod(namespace: str, name: str, node: str, arguments: list[str]) -> dict[str, Any]:
    container = {"name": "main", "image": IMAGE, "imagePullPolicy": "Never", "args": arguments}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": {"bench": "cluster"}},
        "spec": {"nodeName": node, "terminationGracePeriodSeconds": 0, "containers": [container]},
    }
