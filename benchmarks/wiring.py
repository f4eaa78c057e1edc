"""The topologies that benchmarks wire: a ring with random links across it, always the same for the same numbers."""

from __future__ import annotations

import json
import random
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from meshnet.model.resource import API_VERSION

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SEED = 1


class Cable(NamedTuple):
    """A link between two pods: names, interfaces, addresses with prefix length."""

    uid: int
    left: str
    left_interface: str
    left_address: str
    right: str
    right_interface: str
    right_address: str


def ring_with_chords(pods: int, links: int, seed: int = SEED) -> list[Cable]:
    """Return a ring of `pods` and as many random links across it as make `links` in all."""
    chance = random.Random(seed)
    pairs = [(here, (here + 1) % pods) for here in range(pods)]
    pairs += [tuple(chance.sample(range(pods), 2)) for _ in range(links - pods)]  # type: ignore[misc]
    return cables([(f"p{left}", f"p{right}") for left, right in pairs])


def cables(pairs: Iterable[tuple[str, str]]) -> list[Cable]:
    """Return a link for each pair of pods, with the next free interface of each and a /30 of its own."""
    used: Counter[str] = Counter()
    made = []
    for uid, (left, right) in enumerate(pairs, 1):
        used.update((left,))
        left_interface = f"eth{used[left]}"
        used.update((right,))
        base = 10 << 24 | uid << 2
        made.append(
            Cable(uid, left, left_interface, _cidr(base + 1), right, f"eth{used[right]}", _cidr(base + 2)),
        )
    return made


def pod_names(made: Sequence[Cable]) -> list[str]:
    """Return the pods of these links, in order of appearance."""
    return list(dict.fromkeys(name for cable in made for name in (cable.left, cable.right)))


def topologies(made: Sequence[Cable], **of_each_link: Any) -> list[dict[str, Any]]:
    """Return a Topology a pod. `of_each_link` goes into every entry (`options`, `driver`)."""
    entries: dict[str, list[dict[str, Any]]] = {name: [] for name in pod_names(made)}
    for cable in made:
        entries[cable.left].append(_entry(cable, of_each_link))
        entries[cable.right].append(_entry(_turned(cable), of_each_link))
    return [
        {"apiVersion": API_VERSION, "kind": "Topology", "metadata": {"name": name}, "spec": {"links": links}}
        for name, links in entries.items()
    ]


def manifest(made: Sequence[Cable], command: Sequence[str] = ()) -> str:
    """Return pods and topologies as one JSON document for `meshnet lab up`; every pod runs `command`, if any."""
    container = {"name": "main", "image": "none"} | ({"command": list(command)} if command else {})
    pods = [
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": [container]}}
        for name in pod_names(made)
    ]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": [*topologies(made), *pods]})


def _turned(cable: Cable) -> Cable:
    return Cable(cable.uid, *cable[4:], *cable[1:4])


def _entry(cable: Cable, more: dict[str, Any]) -> dict[str, Any]:
    return {
        "uid": cable.uid,
        "peer_pod": cable.right,
        "local_intf": cable.left_interface,
        "peer_intf": cable.right_interface,
        "local_ip": cable.left_address,
        "peer_ip": cable.right_address,
        **more,
    }


def _cidr(number: int) -> str:
    return ".".join(str(number >> shift & 255) for shift in (24, 16, 8, 0)) + "/30"
