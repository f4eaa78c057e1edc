"""Requests for objects that are not ours: a pod's status, the definitions of our resources."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshnet.errors import NotFound
from meshnet.model.resource import GROUP
from meshnet.model.schema import schema_complaint
from meshnet.model.timestamps import stamp
from meshnet.stores.kubernetes.request import MANAGER, PLURALS, Request, path_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshnet.model.resource import Kind
    from meshnet.stores.kubernetes.calls import Calls

STRATEGIC_MERGE_PATCH = "application/strategic-merge-patch+json"


async def schema_complaint_of(kind: Kind, calls: Calls) -> str | None:
    """Return what is wrong with the age of a kind's CustomResourceDefinition, if anything. Raises StoreUnavailable."""
    request = definition_request(kind)
    try:
        return schema_complaint(await calls.send(request))
    except NotFound:
        return f"{request.what}: is not there; apply manifests/base of this release"


def definition_request(kind: Kind) -> Request:
    """Read the CustomResourceDefinition of a kind."""
    name = f"{PLURALS[kind]}.{GROUP}"
    path = path_of("/apis/apiextensions.k8s.io/v1", "", "customresourcedefinitions", name)
    return Request("get", "customresourcedefinitions", f"CustomResourceDefinition {name}", path, name)


def pod_condition_request(namespace: str, pod: str, pod_uid: str, *conditions: Mapping[str, Any]) -> Request:
    """Write conditions of a pod's status; the others stay, since the server merges them by their type.

    Without any it writes nothing and answers with the pod: a daemon may do that, and not read it. For a pod of that
    name with another uid it is invalid. Without a uid that is not looked at.
    """
    what = f"Pod {namespace}/{pod}"
    patch: dict[str, Any] = {"status": {"conditions": [dict(condition) for condition in conditions]}}
    if pod_uid:
        patch["metadata"] = {"uid": pod_uid}
    path = path_of("/api/v1", namespace, "pods", pod, "status", fieldManager=MANAGER)
    return Request("patch", "pods/status", what, path, pod, patch, STRATEGIC_MERGE_PATCH)


def timed(condition: Mapping[str, Any], pod: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a condition of a pod with the time since when it has its status: now, unless the pod has that already."""
    standing = (pod.get("status") or {}).get("conditions") or ()
    same = (row for row in standing if (row["type"], row["status"]) == (condition["type"], condition["status"]))
    since = next((row.get("lastTransitionTime") for row in same), None)
    return {**condition, "lastTransitionTime": since or stamp()}
