"""What was seen go by in answers and watches, so that it need not be asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from meshnet.model.resource import Resource


class Known:
    """The newest revision that this process has seen of its server, and the uids of objects."""

    def __init__(self) -> None:
        self.newest = 0
        self._uids: dict[tuple[str, str, str], str] = {}

    def seen(self, resource: Resource) -> Resource:
        """Take note of an object and return it."""
        self.reached(resource.resource_version)
        self._uids[(resource.kind.value, *resource.key)] = resource.uid
        return resource

    def gone(self, resource: Resource) -> None:
        """Take note that an object is deleted."""
        self.reached(resource.resource_version)
        key = (resource.kind.value, *resource.key)
        if self._uids.get(key) == resource.uid:  # else another has its name already
            del self._uids[key]

    def reached(self, revision: str) -> None:
        """Take note of a revision. They are whole numbers that rise, and are the same for all kinds."""
        if revision.isdecimal():
            self.newest = max(self.newest, int(revision))

    def uid(self, kind: str, namespace: str, name: str) -> str:
        """Return the uid of an object, ``""`` when it was never seen."""
        return self._uids.get((kind, namespace, name), "")
