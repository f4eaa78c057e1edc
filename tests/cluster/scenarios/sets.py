"""StatefulSets of one pod, which may run on some nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.cluster.machine.commands import wait_for
from tests.cluster.machine.images import TOOLS
from tests.lab.scenarios.wiring import Cable

if TYPE_CHECKING:
    from tests.cluster.scenarios.space import Space

CABLE = Cable(1, "r1:eth1", "r2-0:eth1")
"""From a pod to that of a set."""
HOST = "kubernetes.io/hostname"


def stateful(name: str, *nodes: str) -> dict[str, Any]:
    """A StatefulSet of one pod that just stays, on the first of some nodes if that can be."""
    among = [{"key": HOST, "operator": "In", "values": list(nodes)}]
    first = [{"key": HOST, "operator": "In", "values": [nodes[0]]}]
    affinity = {
        "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchExpressions": among}]},
        "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "preference": {"matchExpressions": first}}],
    }
    container = {"name": "main", "image": TOOLS, "imagePullPolicy": "Never"}
    pod = {"terminationGracePeriodSeconds": 0, "affinity": {"nodeAffinity": affinity}, "containers": [container]}
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": pod}
    spec = {"serviceName": name, "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": name}, "spec": spec}


def wire(space: Space, *nodes: str) -> None:
    """Have r1 on n1, and a set r2 whose pod runs on the first of some nodes, with a link between them."""
    space.declare(CABLE)
    space.apply(stateful("r2", *nodes))
    space.start({"r1": "n1"})
    space.wait_ready("r1", "r2-0")
    space.wait_running("r1", "r2-0")
    assert where(space) == nodes[0]


def where(space: Space) -> str:
    """Return the node that the set's pod is bound to, or ``""`` as long as there is none."""
    found = space.get("pods", "--selector=app=r2")["items"]
    return str(found[0]["spec"].get("nodeName", "")) if found else ""


def identity(space: Space) -> str:
    """Return the uid of the set's pod, or ``""`` as long as there is none."""
    found = space.get("pods", "--selector=app=r2")["items"]
    return str(found[0]["metadata"]["uid"]) if found else ""


def wait_replaced(space: Space, before: str) -> None:
    """Wait until another pod has the place of one, and runs."""
    wait_for(lambda: identity(space) not in {"", before}, "the set to have another pod")
    space.wait_running("r2-0")
