"""What to do about a link that is not up, by the reason that its daemon gives: on a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshnet.cli.checks.advice import ANYWHERE, ELSE
from meshnet.cli.cluster.pods import NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Mapping

_WAIT = f"wait some seconds; if it stays so: kubectl logs -n {NAMESPACE} of the daemons of both nodes"

BY_REASON: Mapping[str, str] = {
    **ANYWHERE,
    "DriverFailed": f"kubectl logs -n {NAMESPACE} of that node's daemon tells the driver's author more",
    "DriverMissing": "have that driver in the daemons' image, or name another: docs/kubernetes/drivers.md",
    "NodeLost": "is that node up, and its TCP port 51111 open? kubectl get nodes",
    "NotObserved": _WAIT,
    "NotPatched": _WAIT,
    "PeerNotPatched": _WAIT,
    "PeerNotRunning": "start the peer's pod: kubectl get pods",
    "PeerUnreachable": f"is that node's daemon running, its TCP port 51111 open? kubectl get pods -n {NAMESPACE}",
    "PeerVersion": f"upgrade the older daemon: kubectl rollout status daemonset/meshnet -n {NAMESPACE}",
    "PodNotRunning": "start this pod: kubectl get pods",
    "RestartPod": "delete the pod, so that it starts anew",
}


def advice(reason: str) -> str:
    """Return what to do about a reason on a cluster."""
    return BY_REASON.get(reason, ELSE)
