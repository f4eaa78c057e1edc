"""What a store can do besides when it is a cluster's: nothing that links depend on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@runtime_checkable
class ClusterStore(Protocol):
    """A store that is a Kubernetes cluster, as the daemon of one of its nodes needs it.

    Methods raise `StoreUnavailable` besides what they name.
    """

    def node_owners(self, node: str) -> Sequence[Mapping[str, Any]]:
        """Return the owner references of a node's record: its Node, or none when that is not known here."""

    async def schema_complaints(self) -> Sequence[str]:
        """Return what is wrong with the age of the cluster's schemas; see `meshnet.model.schema`."""

    async def set_pod_condition(self, namespace: str, pod: str, pod_uid: str, condition: Mapping[str, Any]) -> None:
        """Write one condition of a pod's status. Where it has no `lastTransitionTime`, it gets it by what stands.

        Raises NotFound, and InvalidObject when the pod of that name has another uid by now.
        """
