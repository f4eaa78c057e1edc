"""The store interface. Whatever is behind it, these promises hold; `meshnet.testing.stores` proves them.

* Every write is atomic and has happened when it returns: the death of any process takes nothing back.
* `resourceVersion` changes with every write, except one that changes nothing: that leaves no trace, as in Kubernetes.
* `generation` rises when `spec` changes, and only then; `status` is written by `patch_status` alone.
* The store fills uid, resourceVersion, generation and creationTimestamp; what a document says there is ignored, so
  what was exported from one store can be applied to another. Everything else is kept as written, also fields,
  annotations and finalizers that meshnet does not know.
* A watch shows every change after its revision, in order and without a gap, or raises `WatchExpired`.
* An answer is an object or `NotFound`; a store that cannot be asked raises `StoreUnavailable`.

A namespace of ``""`` means ``default`` for the kinds that have one, and is the only one for those that have none.
"""

from __future__ import annotations

import abc
import enum
from typing import TYPE_CHECKING, Any

import attrs

from meshnet.model.printable import encodable
from meshnet.model.resource import DEFAULT_NAMESPACE

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence

    from meshnet.model.resource import Kind, Resource


class Change(enum.Enum):
    """What a watch tells. BOOKMARK is no change: only a newer revision to go on from."""

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
        message: a sentence; what is no text in it is escaped, as on standard output.
        source: who says so: ``meshnetd n1``.
        count: how often, when a store folds repetitions.
        time: seconds since the epoch of the last one; filled by the store when 0.
    """

    about: str
    type: str
    reason: str
    message: str = attrs.field(converter=encodable)
    source: str
    count: int = 1
    time: float = 0.0

    @property
    def namespace(self) -> str:
        """That of what it is about; what has none counts as being in `default`, where a cluster has its events."""
        return self.about.rpartition(" ")[2].rpartition("/")[0] or DEFAULT_NAMESPACE


class Store(abc.ABC):
    """Objects of several kinds, with watch. Methods raise `StoreUnavailable` besides what they name."""

    @abc.abstractmethod
    async def get(self, kind: Kind, namespace: str, name: str) -> Resource:
        """Return one object. Raises NotFound."""

    @abc.abstractmethod
    async def list(self, kind: Kind, namespace: str | None = None) -> Listing:
        """Return all objects of a kind, of one namespace or of all, ordered by (namespace, name)."""

    @abc.abstractmethod
    def watch(self, kind: Kind, since: str) -> AsyncGenerator[WatchEvent, None]:
        """Yield every change of a kind after revision `since`, for ever.

        Bookmarks come between the changes, so that the last revision seen stays fresh while only other kinds change.
        Use it in `contextlib.aclosing`, or cancel the task that iterates: both give back what the watch holds.
        Raises WatchExpired when `since` is too old or not of this store, or when this watcher fell too far behind:
        list again, then watch from there.
        """

    @abc.abstractmethod
    async def apply(self, document: Mapping[str, Any], *, resource_version: str | None = None) -> Resource:
        """Create the object, or replace all of it but its metadata, what the store fills and its status.

        So spec and unknown fields are afterwards those of the document. Its labels, annotations, finalizers and owner
        references are added to those that are there: what others have put there stays, and `patch` takes it away.
        A `status` in the document is ignored. With `resource_version` it must exist at that version (``""``: must not
        exist). Raises InvalidObject, Conflict.
        """

    async def apply_all(self, documents: Iterable[Mapping[str, Any]]) -> Sequence[Resource]:
        """Apply many documents in order; return them as `apply` would.

        Here one after the other: what stood before a document that is refused stays applied. A store that has
        transactions applies all or nothing, and says so. Raises InvalidObject.
        """
        return [await self.apply(document) for document in documents]

    @abc.abstractmethod
    async def patch(
        self, kind: Kind, namespace: str, name: str, patch: Mapping[str, Any], *, resource_version: str | None = None
    ) -> Resource:
        """Change metadata and spec by JSON merge patch (RFC 7396); a `status` in it is ignored.

        With `resource_version` the object must be at that version. Raises NotFound, Conflict, and InvalidObject when
        the outcome would be none or would be another object (name, namespace and kind stay).
        """

    @abc.abstractmethod
    async def patch_status(
        self, kind: Kind, namespace: str, name: str, status: Mapping[str, Any], *, resource_version: str | None = None
    ) -> Resource:
        """Change the status by JSON merge patch; metadata, spec and generation stay.

        `status` is the patch of the status itself, without the word ``status`` around it. Raises NotFound, Conflict,
        InvalidObject.
        """

    @abc.abstractmethod
    async def delete(self, kind: Kind, namespace: str, name: str) -> Resource | None:
        """Remove the object; return it when it stays for now, since finalizers hold it. Raises NotFound.

        The embedded stores remove it at once, whatever `metadata.finalizers` says: a finalizer asks a controller of a
        cluster to clean up first, and here is none that could ever take it away. Kubernetes waits for them.
        """

    @abc.abstractmethod
    async def record(self, event: Event) -> None:
        """Tell the user; the same (about, reason, message, source) again adds to the count and becomes the newest.

        Only the newest are kept (10,000 in the embedded stores).
        """

    @abc.abstractmethod
    async def events(self, namespace: str | None = None) -> Sequence[Event]:
        """Return recorded events, the least recently recorded first, of one namespace or of all."""

    async def close(self) -> None:  # noqa: B027  (a store that holds nothing needs none)
        """Give back what the store holds; idempotent. Watches that still run raise StoreUnavailable."""
