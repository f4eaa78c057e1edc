"""What links cost the API server, by its own log: a pod's number of links does not matter, and rest is rest."""

from __future__ import annotations

import itertools
import time
from collections import Counter, defaultdict
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from meshnet.reconcile.publish import PAUSE_S
from tests.lab.scenarios.wiring import Cable

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cluster.machine.cluster import Cluster
    from tests.cluster.scenarios.space import Space

NODES = ("n1", "n2", "n3")
MANY = 6
"""Pods of a full mesh: five links each, most of them to other nodes."""
REST_S = 12.0
LOGGED_S = 0.5
"""The log is written behind the answers."""


class Asked(NamedTuple):
    """A request of a daemon: what, of which object, and when."""

    what: str
    name: str
    at: float


class Log:
    """The requests of daemons about one namespace, or about none, since it was made."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._seen = len(cluster.audit())

    def requests(self) -> list[Asked]:
        """Return those that are answered, watches left out."""
        time.sleep(LOGGED_S)
        told = []
        for event in self._cluster.audit()[self._seen :]:
            about = event.get("objectRef", {})
            ours = event["userAgent"].startswith("meshnet/") and about.get("namespace") in (None, self._namespace)
            if ours and event["verb"] != "watch" and event["stage"] == "ResponseComplete":
                what = "/".join(filter(None, (event["verb"], about.get("resource"), about.get("subresource"))))
                at = datetime.fromisoformat(event["requestReceivedTimestamp"]).timestamp()
                told.append(Asked(what, about.get("name", ""), at))
        return told


def mesh_and_pair() -> tuple[list[Cable], dict[str, str]]:
    """A full mesh, and two pods with one link between them: cables, and pods with their nodes."""
    used: Counter[str] = Counter()
    cables = []
    names = [f"m{number}" for number in range(MANY)]
    for uid, pair in enumerate([*itertools.combinations(names, 2), ("a", "b")], 1):
        used.update(pair)
        cables.append(Cable(uid, *(f"{name}:eth{used[name]}" for name in pair)))
    return cables, dict(zip([*names, "a", "b"], itertools.cycle(NODES), strict=False))


def test_a_pod_costs_two_writes_whatever_its_links(mesh: Cluster, another: Callable[[], Space]) -> None:
    space = another()
    cables, places = mesh_and_pair()
    log = Log(mesh, space.name)

    space.wire(*cables, places=places)
    time.sleep(PAUSE_S + 1)

    writes = defaultdict(list)
    for request in log.requests():
        assert request.what == "patch/topologies/status", request
        writes[request.name].append(request.at)
    assert writes.keys() == places.keys()
    for pod, times in writes.items():
        # One at ADD. Of the others no two come within PAUSE_S: more than one only where the links took longer to be up.
        assert len(times) <= 2 + (max(times) - min(times)) / PAUSE_S, (pod, times)

    log = Log(mesh, space.name)
    time.sleep(REST_S)
    assert log.requests() == []
