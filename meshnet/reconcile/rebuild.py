"""Sandboxes without a readable checkpoint, rebuilt from the marks on their ports: no pod loses an interface for a file.

The kernel tells whose a port is. What it does not tell is learned from the Topology's status, which a daemon of this
node has written; what the pod's inside is needed for, without that, says `RestartPod`.
"""

from __future__ import annotations

import os
from collections import defaultdict
from typing import TYPE_CHECKING

import attrs

from meshnet.errors import KernelError
from meshnet.model.topology import MAX_EPOCH
from meshnet.netlink import Netlink
from meshnet.netlink.netns import nsid, open_netns
from meshnet.reconcile.end import Applied, End
from meshnet.reconcile.sandbox import Sandbox, SandboxKey, netns_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from meshnet.model.topology import Claim
    from meshnet.panel.port import PanelPort

UNKNOWN = ""
"""Stands for the network and the interface in the key of a rebuilt sandbox; no CNI call gives an empty one."""


def rebuilt_key(container_id: str) -> SandboxKey:
    """Return the key of a container's sandbox that was rebuilt."""
    return SandboxKey(UNKNOWN, container_id, UNKNOWN)


def is_rebuilt(sandbox: Sandbox) -> bool:
    """Tell whether a sandbox is known from its ports alone."""
    return sandbox.key.network == UNKNOWN


def rebuild(ports: Iterable[PanelPort], known: Iterable[Sandbox]) -> list[Sandbox]:
    """Return a sandbox for each container that ports are marked with.

    Args:
        ports: those of no sandbox in `known`.
        known: the sandboxes that have a checkpoint.
    """
    by_container: defaultdict[str, list[PanelPort]] = defaultdict(list)
    for port in ports:
        by_container[port.container_id].append(port)
    made: list[Sandbox] = []
    others = list(known)
    # An index is never given twice and each is above those before it: the pod's newer sandbox has the higher ones.
    for container_id, its in sorted(by_container.items(), key=lambda item: _newest(item[1])):
        sandbox = _sandbox(container_id, its)
        older = [other.epoch for other in (*others, *made) if _precedes(other, sandbox)]
        sandbox.epoch = min(max(older, default=-1) + 1, MAX_EPOCH)
        made.append(sandbox)
    return made


def recall(sandbox: Sandbox, claim: Claim, status: Mapping[str, Any]) -> bool:
    """Learn what the status of the pod's Topology says of a rebuilt sandbox; tell whether anything was new."""
    before = (sandbox.epoch, sandbox.pod_uid, sandbox.netns)
    if claim.container_id != sandbox.key.container_id:
        return False
    sandbox.epoch = max(sandbox.epoch, claim.epoch)
    sandbox.pod_uid = sandbox.pod_uid or claim.pod_uid
    path = status.get("net_ns")
    # As namespaces are; to open a FIFO would wait for who writes to it, to open a device can do anything.
    if not sandbox.netns and isinstance(path, str) and os.path.isabs(path) and os.path.isfile(path):
        _find_inside(sandbox, path)
    return before != (sandbox.epoch, sandbox.pod_uid, sandbox.netns)


def as_wanted(before: Applied, wanted: Applied) -> Applied:
    """Return what counts as applied to an end: of a rebuilt one, what its spec says when it is first read.

    But for what its port tells: the other end has its MTU from the spec as it is by now.
    """
    return before if before.mac else attrs.evolve(wanted, uid=before.uid, mtu=before.mtu)


def _sandbox(container_id: str, ports: Sequence[PanelPort]) -> Sandbox:
    # A name that is too long for a mark is cut in it: such a pod's links stay as they are until it goes.
    whole = next((port.endpoint for port in ports if "~" not in port.endpoint.pod), None)
    sandbox = Sandbox(
        key=rebuilt_key(container_id),
        namespace=whole.namespace if whole else "",
        pod=whole.pod if whole else "",
        pod_uid="",
        netns="",
        netns_id=(0, 0),
        nsid=ports[0].nsid,
        claimed=None,
    )
    for port in ports:
        if whole is not None:
            port.endpoint = attrs.evolve(port.endpoint, pod=whole.pod)
        take_in(sandbox, port)
    return sandbox


def take_in(sandbox: Sandbox, port: PanelPort) -> None:
    """Make the end of a port that its mark alone tells of."""
    applied = Applied(port.uid, mac="", mtu=port.mtu, addresses=())
    sandbox.ends[port.endpoint.interface] = End(port.endpoint, sandbox, applied, port=port, adopted=True)


def _find_inside(sandbox: Sandbox, path: str) -> None:
    """Take a path for the sandbox's namespace if it is the one where its ports have their other ends."""
    try:
        fd = open_netns(path)
    except KernelError:
        return
    try:
        with Netlink.open() as netlink:
            number = nsid(netlink, fd)
        if any(end.nsid == number for end in sandbox.ends.values()):
            sandbox.netns, sandbox.netns_id, sandbox.nsid = path, netns_id(fd), number
    except KernelError:
        return
    finally:
        os.close(fd)


def _precedes(other: Sandbox, sandbox: Sandbox) -> bool:
    theirs = [end.port for end in other.ends.values() if end.port]
    ours = [end.port for end in sandbox.ends.values() if end.port]
    return other.pod_key == sandbox.pod_key and _newest(theirs) < _newest(ours)


def _newest(ports: Sequence[PanelPort]) -> int:
    return max((port.ifindex for port in ports), default=0)
