"""The store of a cluster: custom resources and events of a Kubernetes API server."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from meshnet.errors import Conflict, InvalidObject, NotFound
from meshnet.model.resource import API_VERSION, Kind, ObjectKey, Resource
from meshnet.stores.admission import admit, kept_in, one_key
from meshnet.stores.base import Listing, Store
from meshnet.stores.edits import applying, outcome, patching, patching_status
from meshnet.stores.kubernetes.beside import pod_condition_request, schema_complaint_of, timed
from meshnet.stores.kubernetes.calls import Calls
from meshnet.stores.kubernetes.document import at_version, received, users
from meshnet.stores.kubernetes.door import Door
from meshnet.stores.kubernetes.errors import closed
from meshnet.stores.kubernetes.events import Recorder
from meshnet.stores.kubernetes.known import Known
from meshnet.stores.kubernetes.owner import node_owners
from meshnet.stores.kubernetes.rate import RateLimit
from meshnet.stores.kubernetes.request import Place
from meshnet.stores.kubernetes.threads import Threads
from meshnet.stores.kubernetes.watch import Watch

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from meshnet.stores.admission import Draft
    from meshnet.stores.base import Event, WatchEvent
    from meshnet.stores.edits import Edit
    from meshnet.stores.kubernetes.access import Access
    from meshnet.stores.kubernetes.request import Request

THREADS = 8
"""Requests at a time, besides the watches, each of which has a thread."""

TRIES = 8
"""How often `apply` reads and replaces before it gives up on those who write the same object meanwhile."""


class KubernetesStore(Store):
    """Objects in a cluster.

    It differs from the embedded stores where Kubernetes does: `delete` waits for finalizers, `generation` rises with
    any field outside of metadata and status, unknown or empty fields of metadata and what the schema of a resource does
    not let in are not kept, nor are nulls in the lists of a patch; events are kept for an hour, and `apply` is two
    requests, the second of them with a precondition.

    Use one in one event loop.

    Args:
        access: which API server, and as whom.
        rate: how many requests a second.
    """

    def __init__(self, access: Access, rate: RateLimit | None = None) -> None:
        self._access = access
        self._door = Door(access, THREADS)
        self._calls = Calls(self._door, Threads(THREADS, "kubernetes"), rate or RateLimit())
        self._known = Known()
        self._recorder = Recorder(self._calls, self._known)
        self._watches: set[Watch] = set()

    async def get(self, kind: Kind, namespace: str, name: str) -> Resource:
        return await self._object(kind, Place(kind, *one_key(kind, namespace, name)).get())

    async def list(self, kind: Kind, namespace: str | None = None) -> Listing:
        where = "" if namespace is None else kept_in(kind, namespace)
        listing = await self._calls.send(Place(kind, where).list())
        items = [self._known.seen(Resource(kind, received(item))) for item in listing["items"]]
        revision = str(listing["metadata"]["resourceVersion"])
        self._known.reached(revision)
        return Listing(sorted(items, key=lambda item: item.key), revision)

    async def watch(self, kind: Kind, since: str) -> AsyncGenerator[WatchEvent, None]:
        watch = Watch(self._door, self._calls, self._known, kind, since)
        if self._calls.closed:
            raise closed()
        self._watches.add(watch)
        try:
            async with contextlib.aclosing(watch.events()) as events:
                async for event in events:
                    yield event
        finally:
            self._watches.discard(watch)

    async def apply(self, document: Mapping[str, Any], *, resource_version: str | None = None) -> Resource:
        """Create or replace the object. Raises InvalidObject, Conflict, StoreUnavailable.

        One that stands there already as it shall be is read only.
        """
        draft = admit(document)
        place = Place(draft.kind, *draft.key)
        if resource_version == "":
            return await self._object(draft.kind, place.create(users(draft.document)))
        for _ in range(TRIES):
            try:
                return await self._replace(draft, place, resource_version)
            except Conflict:
                if resource_version is not None:
                    raise
        raise Conflict(f"{place.what}: was changed by others {TRIES} times")

    async def patch(
        self, kind: Kind, namespace: str, name: str, patch: Mapping[str, Any], *, resource_version: str | None = None
    ) -> Resource:
        key = one_key(kind, namespace, name)
        await self._admit_edit(kind, key, patching(kind, key, patch, resource_version), resource_version)
        return await self._object(kind, Place(kind, *key).patch(_versioned(users(patch), resource_version)))

    async def patch_status(
        self, kind: Kind, namespace: str, name: str, status: Mapping[str, Any], *, resource_version: str | None = None
    ) -> Resource:
        key = one_key(kind, namespace, name)
        await self._admit_edit(kind, key, patching_status(kind, key, status, resource_version), resource_version)
        patch = _versioned({"status": status}, resource_version)
        return await self._object(kind, Place(kind, *key).patch_status(patch))

    async def delete(self, kind: Kind, namespace: str, name: str) -> Resource | None:
        answer = await self._calls.send(Place(kind, *one_key(kind, namespace, name)).delete())
        left = Resource(kind, answer)  # a Status when it is gone
        return left if answer.get("kind") == kind.value and left.metadata.get("finalizers") else None

    async def record(self, event: Event) -> None:
        await self._recorder.record(event)

    async def events(self, namespace: str | None = None) -> Sequence[Event]:
        return await self._recorder.recorded(namespace or "")

    def node_owners(self, node: str) -> Sequence[Mapping[str, Any]]:
        file = self._access.token_file
        try:
            return node_owners(file.read_text(), node) if file else ()
        except OSError:  # without its token nothing is written at all, and that is told where it is tried
            return ()

    async def schema_complaints(self) -> Sequence[str]:
        complaints = [await schema_complaint_of(kind, self._calls) for kind in Kind]
        return [complaint for complaint in complaints if complaint]

    async def set_pod_condition(self, namespace: str, pod: str, pod_uid: str, condition: Mapping[str, Any]) -> None:
        if "lastTransitionTime" not in condition:
            condition = timed(condition, await self._calls.send(pod_condition_request(namespace, pod, pod_uid)))
        await self._calls.send(pod_condition_request(namespace, pod, pod_uid, condition))

    async def close(self) -> None:
        for watch in self._watches:
            watch.close()
        self._calls.close()

    async def _replace(self, draft: Draft, place: Place, resource_version: str | None) -> Resource:
        """Read, compare, and write what is to be written, once. Raises Conflict when others were quicker."""
        edit = applying(draft, resource_version)
        try:
            before = await self._object(draft.kind, place.get())
        except NotFound:
            edit(None)  # raises when it had to be there
            return await self._object(draft.kind, place.create(users(draft.document)))
        change, wanted = outcome(edit, before)
        if change is None:
            return before
        replacement = at_version(users(wanted), before.resource_version)
        try:
            return await self._object(draft.kind, place.replace(replacement))
        except NotFound as error:  # deleted since
            raise Conflict(f"{place.what}: was deleted by others") from error

    async def _admit_edit(self, kind: Kind, key: ObjectKey, edit: Edit, resource_version: str | None) -> None:
        """Refuse what no store takes, as the others do, before the server is asked.

        What is right in itself costs no request; only an error is worth a look at the object that it is about.
        """
        metadata = {"name": key[1]} | ({"namespace": key[0]} if key[0] else {})
        if resource_version is not None:
            metadata["resourceVersion"] = resource_version or "that of an object that exists"
        stand_in = Resource(kind, {"apiVersion": API_VERSION, "kind": kind.value, "metadata": metadata})
        try:
            edit(stand_in)
        except (Conflict, InvalidObject):
            edit(await self._object(kind, Place(kind, *key).get()))
            raise

    async def _object(self, kind: Kind, request: Request) -> Resource:
        """Send a request that is answered with an object of ours."""
        return self._known.seen(Resource(kind, received(await self._calls.send(request))))


def _versioned(patch: Mapping[str, Any], resource_version: str | None) -> Mapping[str, Any]:
    return patch if resource_version is None else at_version(patch, resource_version)
