"""One run: pods created at once, watched until all are Ready, asked when each link answered first, and deleted."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import attrs
from cluster_cpu import Spent

from tests.cluster.machine.commands import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cluster_bed import Bed, Call
    from cluster_shapes import Shape

READY_S = 300.0
ANSWER_S = 20.0
STATUS_S = 6.5
"""A status that is not written when all is up comes within 5 s."""
_COLUMNS = 'custom-columns=N:.metadata.namespace,P:.metadata.name,R:.status.conditions[?(@.type=="Ready")].status'
_SELECTOR = "--selector=bench=cluster"


@attrs.define
class Outcome:
    """What one run gave.

    Attributes:
        ready_s: from before the first pod is created until the last is seen to be Ready.
        spent: processor time meanwhile.
        answered: ends whose peer answered.
        slowest_s: from then to the first answer of the slowest of them; less than 0: before.
        calls: of the plugin.
        requests: of meshnet's programs, by verb and resource.
        cpu_s: of all daemons together.
        rss: MB of each daemon with all of it standing.
    """

    ready_s: float
    spent: Spent
    answered: int = 0
    slowest_s: float = 0.0
    calls: Sequence[Call] = ()
    requests: Counter[str] = attrs.field(factory=Counter)
    cpu_s: float = 0.0
    rss: Sequence[float] = ()


class Run:
    """Runs of one shape on one cluster."""

    def __init__(self, bed: Bed, shape: Shape) -> None:
        self._bed = bed
        self._shape = shape
        self._cluster = bed.cluster
        self._ready: dict[str, float] = {}
        self._audit = bed.cluster.plane.audit_log

    def bare(self) -> Outcome:
        """Run the pods alone."""
        try:
            began, ended, spent = self._create()
        finally:
            self._delete()
        return Outcome(ended - began, spent)

    def wired(self) -> Outcome:
        """Run the pods with their topologies."""
        self._bed.calls()
        place, before = self._audit.stat().st_size, self._bed.daemons()
        try:
            self._cluster.kubectl("create", "-f", "-", stdin=_listed(self._shape.topologies()))
            began, ended, spent = self._create()
            answers = self._answers()
            time.sleep(max(0.0, ended + STATUS_S - time.monotonic()))
            after = self._bed.daemons()
            outcome = Outcome(
                ended - began,
                spent,
                answered=len(answers),
                slowest_s=max(answers, default=float("inf")) - ended,
                calls=[call for call in self._bed.calls() if call.command == "ADD"],
                requests=Counter(self._requests(place)),
                cpu_s=after.seconds - before.seconds,
                rss=after.rss,
            )
        finally:
            self._delete()
        return outcome

    def _create(self) -> tuple[float, float, Spent]:
        """Create the pods; return when that began and when the last was Ready, by the monotonic clock, and its cost."""
        documents = _listed(self._shape.pod_documents(list(self._cluster.nodes)))
        self._ready.clear()
        command = self._cluster.command(
            "get", "pods", "--all-namespaces", _SELECTOR, "--watch", "--no-headers", "-o", _COLUMNS
        )
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as watch:
            try:
                threading.Thread(target=self._look, args=(watch,), daemon=True).start()
                time.sleep(0.5)
                began, before = time.monotonic(), Spent.now(self._cluster)
                self._cluster.kubectl("create", "-f", "-", stdin=documents)
                wait_for(lambda: len(self._ready) == self._shape.pods, "all pods to be Ready", READY_S, 0.02)
                spent = Spent.now(self._cluster).since(before)
            finally:
                watch.kill()
        return began, max(self._ready.values()), spent

    def _look(self, watch: subprocess.Popen[str]) -> None:
        assert watch.stdout is not None
        for line in watch.stdout:
            namespace, pod, ready = line.split()
            if ready == "True":
                self._ready.setdefault(f"{namespace}/{pod}", time.monotonic())

    def _answers(self) -> list[float]:
        """Return when each end had its first answer, once all have or it is no use waiting."""
        deadline = time.monotonic() + ANSWER_S
        while len(found := list(self._logged())) < self._shape.ends and time.monotonic() < deadline:
            time.sleep(0.2)
        return found

    def _logged(self) -> Iterator[float]:
        """Yield what the pods wrote down."""
        for node in self._bed.nodes:
            for log in node.path("/var/log/pods").glob("bench-*/main/0.log"):
                for line in log.read_text().splitlines():
                    yield float(line.split()[-1])

    def _requests(self, place: int) -> Iterator[str]:
        """Yield verb and resource of each request of meshnet's programs since the audit log was so long."""
        with self._audit.open() as log:
            log.seek(place)
            for event in map(json.loads, log):
                if event["userAgent"].startswith("meshnet/") and event["stage"] == "ResponseComplete":
                    reference = event["objectRef"]
                    yield "/".join(filter(None, (event["verb"], reference["resource"], reference.get("subresource"))))

    def _delete(self) -> None:
        """Delete pods and topologies, and wait until nothing of them is left."""
        for namespace in self._shape.namespaces:
            words = ("delete", "pod", _SELECTOR, f"--namespace={namespace}", "--force", "--timeout=180s")
            self._cluster.kubectl(*words)
            if self._cluster.try_kubectl("get", "crd", "topologies.networkop.co.uk").returncode == 0:
                self._cluster.kubectl("delete", "topologies", "--all", f"--namespace={namespace}", "--timeout=180s")
        for node in self._bed.nodes:
            left = node.path("/run/netns")
            wait_for(lambda left=left: not any(left.iterdir()), f"sandboxes of {node.name} to be gone", READY_S)  # type: ignore[misc]
            # The kubelet takes a minute over these, and the next run reads its own alone.
            for logs in node.path("/var/log/pods").glob("bench-*"):
                shutil.rmtree(logs)


def _listed(documents: list[dict[str, Any]]) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": documents})
