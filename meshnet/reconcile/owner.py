"""Who has a pod: what a Topology's status says of it, as one sandbox of the pod sees it.

Epochs count within one Topology: with a new object of the same name they begin again. So a sandbox compares its epoch
with those of the Topology that it has claimed. That another one has an owner, it heeds; that an owner was there and is
gone says nothing of itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from meshnet.model.topology import Topology
    from meshnet.reconcile.sandbox import Sandbox


def superseded(sandbox: Sandbox, topology: Topology, here: str) -> bool:
    """Tell whether another sandbox has taken the pod over; of two on node `here` the table knows better."""
    claim = topology.claim
    if claim.container_id == sandbox.key.container_id:
        return False
    if _counts_in(sandbox, topology):
        return claim.epoch > sandbox.epoch
    return claim.node not in ("", here)


def unclaimed(sandbox: Sandbox, topology: Topology | None, here: str) -> bool:
    """Tell whether the pod is to be claimed for a sandbox, which is the one that has it on node `here`.

    Its Topology, if there is one, names no owner, and had none since the sandbox claimed it. Or it has an older claim
    of this node: the store was put back to an older state. A sandbox that was taken over does not come back when its
    successor is gone: its own DEL is under way.
    """
    if topology is None:
        return False
    claim = topology.claim
    if claim.node not in ("", here):
        return False
    if not _counts_in(sandbox, topology) or claim.epoch < sandbox.epoch:
        return True
    return not claim.node and claim.epoch == sandbox.epoch


def count_on(sandbox: Sandbox, topology: Topology) -> None:
    """Let a sandbox that is about to take the pod over come after everyone who has claimed the Topology."""
    sandbox.epoch = max(sandbox.epoch, topology.claim.next_epoch)
    sandbox.claimed = topology.uid


def learn(sandbox: Sandbox, topology: Topology) -> bool:
    """Note that a Topology was claimed, of a sandbox whose checkpoint does not tell; tell whether that was news."""
    if sandbox.claimed is not None or topology.claim.container_id != sandbox.key.container_id:
        return False
    sandbox.claimed = topology.uid
    return True


def _counts_in(sandbox: Sandbox, topology: Topology) -> bool:
    """Tell whether a sandbox's epoch can be compared with a Topology's; where nothing else is known, it is."""
    return sandbox.claimed in (None, topology.uid)
