"""What to do about a link that is not up, by the reason that its daemon gives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshnet.cli.cluster.pods import NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Mapping

ELSE = "docs/kubernetes/troubleshooting.md tells what each reason means, and what to do"

_WAIT = f"wait some seconds; if it stays so: kubectl logs -n {NAMESPACE} of the daemons of both nodes"

BY_REASON: Mapping[str, str] = {
    "DriverAmbiguous": "set what the message names, for every daemon",
    "DriverFailed": f"kubectl logs -n {NAMESPACE} of that node's daemon tells the driver's author more",
    "DriverMissing": "have that driver in the daemons' image, or name another: docs/kubernetes/drivers.md",
    "DriverUnsuitable": "name a driver that makes this kind of link, or none",
    "DriverUnusable": "meshnet get drivers tells why, node by node",
    "InvalidOptions": "correct what the message names: meshnet check FILE tells the line",
    "KernelRefused": "the kernel's own words; meshnet get drivers tells what works on that node",
    "MtuTooLarge": "ask for at most what the message names, or for none",
    "NodeLost": "is that node up, and its TCP port 51111 open? kubectl get nodes",
    "NodeUnknown": "wait until the daemon of that node has written its record: meshnet get nodes",
    "NotObserved": _WAIT,
    "NotPatched": _WAIT,
    "PeerMismatch": "give at both ends what the message names, or at one of them only",
    "PeerMissing": "apply the peer's Topology, with this link declared from its side",
    "PeerNotPatched": _WAIT,
    "PeerNotRunning": "start the peer's pod: kubectl get pods",
    "PeerUnreachable": f"is that node's daemon running, its TCP port 51111 open? kubectl get pods -n {NAMESPACE}",
    "PeerVersion": f"upgrade the older daemon: kubectl rollout status daemonset/meshnet -n {NAMESPACE}",
    "PodNotRunning": "start this pod: kubectl get pods",
    "RestartPod": "delete the pod, so that it starts anew",
}


def advice(reason: str) -> str:
    """Return what to do about a reason."""
    return BY_REASON.get(reason, ELSE)
