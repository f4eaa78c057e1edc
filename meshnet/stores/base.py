"""The store interface. Whatever is behind it, these promises hold; the shared suite proves them.

* Every write is atomic and durable when it returns; `resourceVersion` changes with it.
* `generation` rises when `spec` changes, and only then; `status` is written by `patch_status` alone.
* A watch shows every change after its revision, in order and without a gap, or raises `WatchExpired`.
* An answer is an object or `NotFound`; a store that cannot be asked raises `StoreUnavailable`.
"""

from __future__ import annotations

import abc
import enum
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from meshnet.model.resource import Kind, Resource


class Change(enum.Enum):
    """What a watch tells."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"
    BOOKMARK = "BOOKMARK"


@attrs.frozen
class WatchEvent:
    """One change; `resource` is the object after it (before it, for DELETED; None for BOOKMARK).

    Attributes:
        revision: where the watch now stands; give it to `watch(since=...)` to go on from here.
    """

    change: Change
    resource: Resource | None
    revision: str


@attrs.frozen
class Listing:
    """All objects at one moment, and the revision to watch from."""

    items: Sequence[Resource]
    revision: str


@attrs.frozen
class Event:
    """Something a user should see, about one object.

    Attributes:
        about: ``Topology default/r1``.
        type: ``Normal`` or ``Warning``.
        reason: CamelCase word.
        message: a sentence.
        source: who says so: ``meshnetd n1``.
        count: how often, when a store folds repetitions.
        time: seconds since the epoch of the last one; filled by the store when 0.
    """

    about: str
    type: str
    reason: str
    message: str
    source: str
    count: int = 1
    time: float = 0.0


class Store(abc.ABC):
    """Objects of several kinds, with watch. Methods raise `StoreUnavailable` besides what they name."""

    @abc.abstractmethod
    async def get(self, kind: Kind, namespace: str, name: str) -> Resource:
        """Return one object. Raises NotFound."""

    @abc.abstractmethod
    async def list(self, kind: Kind, namespace: str | None = None) -> Listing:
        """Return all objects of a kind, of one namespace or of all, ordered by (namespace, name)."""

    @abc.abstractmethod
    def watch(self, kind: Kind, since: str) -> AsyncIterator[WatchEvent]:
        """Yield every change after revision `since`, for ever.

        Raises WatchExpired when `since` is too old, or when this watcher fell too far behind.
        """

    @abc.abstractmethod
    async def apply(self, document: Mapping[str, Any], *, resource_version: str | None = None) -> Resource:
        """Create the object, or replace its metadata (labels, annotations, finalizers) and spec.

        A `status` in the document is ignored. With `resource_version` it must exist at that version (``""``: must
        not exist). Raises Conflict.
        """

    @abc.abstractmethod
    async def patch(
        self, kind: Kind, namespace: str, name: str, patch: Mapping[str, Any], *, resource_version: str | None = None
    ) -> Resource:
        """Change metadata and spec by JSON merge patch (RFC 7396). Raises NotFound, Conflict."""

    @abc.abstractmethod
    async def patch_status(
        self, kind: Kind, namespace: str, name: str, status: Mapping[str, Any], *, resource_version: str | None = None
    ) -> Resource:
        """Change the status by JSON merge patch; spec and generation stay. Raises NotFound, Conflict."""

    @abc.abstractmethod
    async def delete(self, kind: Kind, namespace: str, name: str) -> None:
        """Remove the object. Raises NotFound."""

    @abc.abstractmethod
    async def record(self, event: Event) -> None:
        """Tell the user; the same (about, reason, message, source) again raises the count."""

    @abc.abstractmethod
    async def events(self, about: str | None = None) -> Sequence[Event]:
        """Return recorded events, oldest first, of one object or all."""

    async def close(self) -> None:
        """Give back what the store holds; idempotent."""
