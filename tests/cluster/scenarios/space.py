"""A namespace of its own for a test, in a cluster with meshnet: what a user does there, and what they see."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.cluster import pods
from tests.cluster.machine.commands import wait_for
from tests.lab.scenarios.wiring import Cable, topologies

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping

    from tests.cluster.machine.cluster import Cluster

CABLE = Cable(1, "r1:eth1", "r2:eth1")
"""What most tests need: one link, between two pods."""
APART = {"r1": "n1", "r2": "n2"}
"""Its pods on two nodes."""
LABEL = "scenario"
"""Of every namespace of a test."""
READY = "--for=condition=Ready"
LIMIT = "--timeout=120s"


@dataclass
class Space:
    """A namespace.

    Attributes:
        cluster: that has it.
        name: its name.
        places: pods that were started here, and the nodes that they are bound to.
    """

    cluster: Cluster
    name: str
    places: dict[str, str] = field(default_factory=dict)

    @classmethod
    def make(cls, cluster: Cluster, name: str) -> Space:
        """Have a namespace in which pods can be made."""
        metadata = {"name": name, "labels": {LABEL: ""}}
        cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        space = cls(cluster, name)
        account = ("get", "serviceaccount", "default")
        wait_for(lambda: space.try_kubectl(*account).returncode == 0, f"the service account of namespace {name}")
        return space

    def end(self) -> None:
        """Begin to delete it: that takes longer than most tests do, and nobody waits."""
        self.cluster.kubectl("delete", "namespace", self.name, "--wait=false")

    def kubectl(self, *words: str, stdin: str = "") -> str:
        return self.cluster.kubectl(f"--namespace={self.name}", *words, stdin=stdin)

    def try_kubectl(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.cluster.try_kubectl(f"--namespace={self.name}", *words)

    def get(self, *words: str) -> Any:
        return self.cluster.get(f"--namespace={self.name}", *words)

    def apply(self, *objects: dict[str, Any]) -> None:
        """Apply objects that name no namespace, or this one."""
        items = {"apiVersion": "v1", "kind": "List", "items": objects}
        self.kubectl("apply", "-f", "-", stdin=json.dumps(items))

    def declare(self, *cables: Cable) -> None:
        """Apply the Topologies that cables make."""
        self.apply(*topologies(cables, self.name))

    def start(self, places: Mapping[str, str], **spec: Any) -> None:
        """Start pods, each on the node that it is bound to."""
        self.places.update(places)
        self.apply(*(pods.pod(name, node, namespace=self.name, **spec) for name, node in places.items()))

    def wire(self, *cables: Cable, places: Mapping[str, str]) -> None:
        """Have Topologies and pods, all links ready and all pods running."""
        self.declare(*cables)
        self.start(places)
        self.wait_ready(*places)
        pods.wait_ready(self.cluster, *places, namespace=self.name)

    def wait_ready(self, *names: str) -> None:
        """Wait until all links of pods are ready, by what their Topologies say."""
        self.kubectl("wait", READY, *(f"topology/{name}" for name in names), LIMIT)

    def wait_running(self, *names: str) -> None:
        pods.wait_ready(self.cluster, *names, namespace=self.name)

    def inside(self, pod: str, *command: str) -> str:
        """Run a command in a pod, which must succeed."""
        return self.kubectl("exec", pod, "--", *command)

    def pings(self, pod: str, address: str) -> bool:
        """Whether an address answers within two seconds."""
        return self.try_kubectl("exec", pod, "--", "ping", "-c1", "-W2", address).returncode == 0

    def wait_linked(self, cable: Cable = CABLE) -> None:
        """Wait until the two ends of a cable reach each other, and see carrier."""
        for own, other in zip((cable.a, cable.b), reversed(cable.addresses), strict=True):
            pod, _, interface = own.partition(":")
            wait_for(lambda pod=pod, other=other: self.pings(pod, other), f"{own} to reach {other}", 60)  # type: ignore[misc]
            assert self.carrier(pod, interface) == "1"

    def carrier(self, pod: str, interface: str = "eth1") -> str:
        return self.inside(pod, "cat", f"/sys/class/net/{interface}/carrier").strip()

    def wait_carrier(self, pod: str, value: str, interface: str = "eth1") -> None:
        wait_for(lambda: self.carrier(pod, interface) == value, f"{pod}:{interface} to have carrier {value}", 60)

    def carrier_changes(self, pod: str, interface: str = "eth1") -> int:
        """Return how often the carrier of an interface has come or gone."""
        return int(self.inside(pod, "cat", f"/sys/class/net/{interface}/carrier_changes"))

    def status(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.get("topology", name).get("status") or {}
        return found

    def reason(self, name: str) -> str:
        """Return why the first link of a pod is not up, or ``""``."""
        return str(self.status(name)["links"][0]["reason"])

    def wait_reason(self, name: str, reason: str) -> None:
        wait_for(lambda: self.reason(name) == reason, f"the link of {name} to say {reason}", 60)

    def columns(self, name: str) -> dict[str, str]:
        """Return what ``kubectl get topo`` prints of a pod, by the columns' names; AGE left out."""
        head, row = self.kubectl("get", "topo", name).splitlines()
        starts = [head.index(word) for word in head.split()]
        ends = [*starts[1:], None]
        cells = {head[start:end].strip(): row[start:end].strip() for start, end in zip(starts, ends, strict=True)}
        cells.pop("AGE")
        return cells

    def wait_columns(self, name: str, **cells: str) -> None:
        """Wait until ``kubectl get topo`` prints these of a pod."""
        what = f"kubectl get topo {name} to say {cells}"
        wait_for(lambda: cells.items() <= self.columns(name).items(), what, 60)

    def delete(self, *what: str, force: bool = False) -> None:
        """Delete objects, KIND/NAME each, and wait until they are gone."""
        forced = ("--force", "--grace-period=0") if force else ()
        self.kubectl("delete", *what, *forced, LIMIT)
