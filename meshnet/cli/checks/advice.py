"""What to do about a link that is not up, by the reason that its daemon gives."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

ELSE = "docs/kubernetes/troubleshooting.md tells what each reason means, and what to do"

ANYWHERE: Mapping[str, str] = {
    "DriverAmbiguous": "set what the message names, for every daemon",
    "DriverUnsuitable": "name a driver that makes this kind of link, or none",
    "DriverUnusable": "meshnet get drivers tells why, node by node",
    "InvalidOptions": "correct what the message names: meshnet check FILE tells the line",
    "KernelRefused": "the kernel's own words; meshnet get drivers tells what works on that node",
    "MtuTooLarge": "ask for at most what the message names, or for none",
    "NodeUnknown": "wait until the daemon of that node has written its record: meshnet get nodes",
    "PeerMismatch": "give at both ends what the message names, or at one of them only",
    "PeerMissing": "apply the peer's Topology, with this link declared from its side",
}
"""What is the same on a cluster, on a node and in a lab."""

_START = "in a lab: meshnet lab pods, then meshnet lab start POD"
_WAIT = "wait some seconds; if it stays so: the logs of the daemons of both nodes, in a lab: meshnet lab logs NODE"

BY_REASON: Mapping[str, str] = {
    **ANYWHERE,
    "DriverFailed": "that node's log tells the driver's author more; in a lab: meshnet lab logs NODE",
    "DriverMissing": "install that driver beside meshnet and start the daemons anew, or name another: meshnet drivers",
    "NodeLost": "is that node up, and its TCP port 51111 open? In a lab: meshnet lab nodes, then meshnet lab node NODE "
    "rejoin",
    "NotObserved": _WAIT,
    "NotPatched": _WAIT,
    "PeerNotPatched": _WAIT,
    "PeerNotRunning": f"start the peer's pod; {_START}",
    "PeerUnreachable": "is that node's daemon running, its TCP port 51111 open? In a lab: meshnet lab node NODE start",
    "PeerVersion": "upgrade the older daemon",
    "PodNotRunning": f"start this pod; {_START}",
    "RestartPod": "start the pod anew; in a lab: meshnet lab restart POD",
}


def advice(reason: str) -> str:
    """Return what to do about a reason on a node or in a lab."""
    return BY_REASON.get(reason, ELSE)
