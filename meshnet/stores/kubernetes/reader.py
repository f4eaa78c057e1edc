"""What a cluster has besides our own objects, for commands that ask once: pods, nodes, roles, by blocking calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshnet.errors import StoreUnavailable
from meshnet.stores.kubernetes.door import Door, Unreachable
from meshnet.stores.kubernetes.errors import document_of
from meshnet.stores.kubernetes.request import ONE_S, Request, path_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshnet.stores.kubernetes.access import Access

CONNECTIONS = 4


class Reader:
    """Asks an API server. Nothing is opened before the first question; may be used by several threads.

    Methods raise StoreUnavailable when it does not answer, or will not.
    """

    def __init__(self, access: Access) -> None:
        self._door = Door(access, CONNECTIONS)

    def version(self) -> str:
        """Return the server's own version: ``v1.34.4``."""
        told = self._send(Request("get", "version", "version", "/version"))
        return str(told.get("gitVersion") or "unknown")

    def get(self, base: str, namespace: str, plural: str, name: str) -> dict[str, Any]:
        """Return one object; `base` is ``/api/v1`` or ``/apis/GROUP/VERSION``. Raises NotFound."""
        where = f"{namespace}/{name}" if namespace else name
        path = path_of(base, namespace, plural, name)
        return self._send(Request("get", plural, f"{plural} {where}", path, name))

    def list(
        self, base: str, namespace: str, plural: str, *, limit_s: float = ONE_S, **query: str
    ) -> list[dict[str, Any]]:
        """Return the objects of a kind, of one namespace or with ``""`` of all."""
        what = f"{plural} of namespace {namespace}" if namespace else f"all {plural}"
        path = path_of(base, namespace, plural, **query)
        request = Request("list", plural, what, path, limit_s=limit_s)
        items: list[dict[str, Any]] = self._send(request)["items"]
        return items

    def may(self, user: str, verb: str, group: str, resource: str) -> bool:
        """Tell whether somebody may do something, in every namespace; a resource may be ``pods/exec``."""
        plural, _, subresource = resource.partition("/")
        wanted = {"verb": verb, "group": group, "resource": plural, "subresource": subresource}
        base = "authorization.k8s.io/v1"
        spec = {"user": user, "groups": service_account_groups(user), "resourceAttributes": wanted}
        review = {"apiVersion": base, "kind": "SubjectAccessReview", "spec": spec}
        what = f"what {user} may do"
        path = path_of(f"/apis/{base}", "", "subjectaccessreviews")
        request = Request("create", "subjectaccessreviews", what, path, document=review)
        status: Mapping[str, Any] = self._send(request).get("status") or {}
        return bool(status.get("allowed"))

    def close(self) -> None:
        """Close what is open; idempotent."""
        self._door.close()

    def _send(self, request: Request) -> dict[str, Any]:
        try:
            answer = self._door.ask(request)
        except Unreachable as error:
            doing = f"{request.verb} {request.resource}"
            raise StoreUnavailable(f"{request.what}: {doing} at the API server {self._door.server}: {error}") from error
        return document_of(request, answer, self._door.server)


def service_account_groups(user: str) -> list[str]:
    """Return the groups that a user is in by being what it is."""
    if not user.startswith("system:serviceaccount:"):
        return ["system:authenticated"]
    namespace = user.split(":")[2]
    return ["system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"]
