"""Requests to the API server, as values: what is asked, of which object, and what may be done when it fails."""

from __future__ import annotations

import urllib.parse
from typing import TYPE_CHECKING, Any

import attrs

from meshnet.model.resource import API_VERSION, Kind
from meshnet.stores.admission import label
from meshnet.stores.text import dump

if TYPE_CHECKING:
    from collections.abc import Mapping

PLURALS = {Kind.TOPOLOGY: "topologies", Kind.NODE: "meshnodes"}
MERGE_PATCH = "application/merge-patch+json"
MANAGER = "meshnet"

ONE_S, MANY_S = 10.0, 60.0
"""How long one object may take, and all of a kind; seconds, with every repetition."""

_METHODS = {"create": "POST", "update": "PUT", "patch": "PATCH", "delete": "DELETE"}


@attrs.frozen
class Request:
    """One request.

    Attributes:
        verb: what is done, as RBAC calls it.
        resource: likewise: ``topologies/status``.
        what: the object as a user knows it.
        path: of the URL, with its query.
        name: of the object, ``""`` for a list of them.
        document: to send, or None.
        limit_s: seconds that all of it may take.
        urgent: a pod waits for it.
        repeatable: sending it twice is as good as once.
        body: the document as JSON.

    Raises InvalidObject for a document with what JSON has no word for.
    """

    verb: str
    resource: str
    what: str
    path: str
    name: str = ""
    document: Mapping[str, Any] | None = attrs.field(default=None, repr=False)
    content_type: str = "application/json"
    limit_s: float = ONE_S
    urgent: bool = False
    repeatable: bool = True
    body: bytes | None = attrs.field(init=False, repr=False)

    @body.default
    def _encode(self) -> bytes | None:
        return None if self.document is None else dump(self.document, self.what).encode()

    @property
    def method(self) -> str:
        """What HTTP calls it."""
        return _METHODS.get(self.verb, "GET")


@attrs.frozen
class Place:
    """An object of ours in the API, or where such objects are."""

    kind: Kind
    namespace: str
    name: str = ""

    @property
    def what(self) -> str:
        return label(self.kind, self.namespace, self.name)

    def get(self) -> Request:
        return Request("get", self._plural, self.what, self._path(), self.name, urgent=True)

    def list(self, limit: int = 0) -> Request:
        path = self._path(limit=limit) if limit else self._path()
        every = f"every {self.kind.value}" + (f" in {self.namespace}" if self.namespace else "")
        return Request("list", self._plural, every, path, limit_s=MANY_S)

    def watch(self, revision: str, seconds: int) -> Request:
        """For `seconds`, after which the server ends it, so that watches spread over servers that come back."""
        path = self._path(watch=1, allowWatchBookmarks="true", resourceVersion=revision, timeoutSeconds=seconds)
        return Request("watch", self._plural, f"every {self.kind.value}", path)

    def create(self, document: Mapping[str, Any]) -> Request:
        path = Place(self.kind, self.namespace)._path(fieldManager=MANAGER)  # noqa: SLF001  (of the same class)
        return self._writing("create", path, document, repeatable=False)

    def replace(self, document: Mapping[str, Any]) -> Request:
        return self._writing("update", self._path(fieldManager=MANAGER), document)

    def patch(self, patch: Mapping[str, Any]) -> Request:
        return self._writing("patch", self._path(fieldManager=MANAGER), patch)

    def patch_status(self, patch: Mapping[str, Any]) -> Request:
        path = self._path("status", fieldManager=MANAGER)
        return Request("patch", f"{self._plural}/status", self.what, path, self.name, patch, MERGE_PATCH, urgent=True)

    def delete(self) -> Request:
        return Request("delete", self._plural, self.what, self._path(), self.name, repeatable=False)

    @property
    def _plural(self) -> str:
        return PLURALS[self.kind]

    def _path(self, subresource: str = "", **query: object) -> str:
        return path_of(f"/apis/{API_VERSION}", self.namespace, self._plural, self.name, subresource, **query)

    def _writing(self, verb: str, path: str, document: Mapping[str, Any], *, repeatable: bool = True) -> Request:
        content_type = MERGE_PATCH if verb == "patch" else "application/json"
        what, name = self.what, self.name
        return Request(verb, self._plural, what, path, name, document, content_type, repeatable=repeatable)


def path_of(base: str, namespace: str, plural: str, name: str = "", subresource: str = "", **query: object) -> str:
    """Return the path of objects in the API; empty parts are left out."""
    parts = ["namespaces", namespace] if namespace else []
    parts += [plural, name, subresource]
    path = "/".join([base, *(urllib.parse.quote(part, safe="") for part in parts if part)])
    return f"{path}?{urllib.parse.urlencode(query)}" if query else path
