"""What each write makes of an object: pure functions, the same for every embedded store.

An `Edit` is given the object as it stands (None: it does not exist) and returns the document that shall stand, still
with the old resourceVersion, or None for its removal. It raises NotFound, Conflict or InvalidObject.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from meshnet.errors import Conflict, InvalidObject, NotFound, Problem
from meshnet.model.timestamps import stamp
from meshnet.stores.admission import label, shape_problems
from meshnet.stores.base import Change
from meshnet.stores.patch import merge_patch
from meshnet.stores.text import plain, same

if TYPE_CHECKING:
    from meshnet.model.resource import Kind, ObjectKey, Resource
    from meshnet.stores.admission import Draft

Edit = Callable[["Resource | None"], "dict[str, Any] | None"]

STORE_FILLS = (
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "selfLink",
    "managedFields",
)
"""Fields of `metadata` that are the store's; a user's value for them is ignored."""


TOLD_BY_NAME = ("labels", "annotations")
LISTED = ("finalizers", "ownerReferences")
"""Fields of `metadata` in which many have a say."""


def applying(draft: Draft, resource_version: str | None) -> Edit:
    """The write of `Store.apply`."""
    what = label(draft.kind, *draft.key)

    def edit(before: Resource | None) -> dict[str, Any]:
        if resource_version == "" and before is not None:
            raise Conflict(f"{what}: exists already")
        if resource_version and before is None:
            raise Conflict(f"{what}: does not exist, but shall be at resourceVersion {resource_version}")
        if before is None:
            return _created(draft)
        if resource_version is not None:
            _require_version(before, resource_version)
        return _replaced(before, draft)

    return edit


def patching(kind: Kind, key: ObjectKey, patch: Mapping[str, Any], resource_version: str | None) -> Edit:
    """The write of `Store.patch`. Raises InvalidObject when `patch` is no JSON object."""
    what = label(kind, *key)
    clean = _clean_patch(patch, what)
    clean.pop("status", None)

    def edit(before: Resource | None) -> dict[str, Any]:
        before = _existing(before, what, resource_version)
        document = merge_patch(before.document, clean)
        problems = [*_identity_changes(before, document), *shape_problems(document)]
        if problems:
            raise InvalidObject(what, problems)
        document["metadata"] = _with_filled(document["metadata"], before)
        return _raise_generation(before, document)

    return edit


def patching_status(kind: Kind, key: ObjectKey, patch: Mapping[str, Any], resource_version: str | None) -> Edit:
    """The write of `Store.patch_status`. Raises InvalidObject when `patch` is no JSON object."""
    what = label(kind, *key)
    clean = _clean_patch(patch, what)

    def edit(before: Resource | None) -> dict[str, Any]:
        before = _existing(before, what, resource_version)
        return {**before.document, "status": merge_patch(before.document.get("status"), clean)}

    return edit


def deleting(kind: Kind, key: ObjectKey) -> Edit:
    """The write of `Store.delete`."""

    def edit(before: Resource | None) -> None:
        _existing(before, label(kind, *key), None)

    return edit


def outcome(edit: Edit, before: Resource | None) -> tuple[Change | None, Mapping[str, Any]]:
    """Carry out an edit; return the change and the document after it (before it, when it removes the object).

    There is no change, but None, when the document stays as it is.
    """
    after = edit(before)
    if before is None:
        return Change.ADDED, after or {}
    if after is None:
        return Change.DELETED, before.document
    return (None if same(before.document, after) else Change.MODIFIED), after


def stamped(document: Mapping[str, Any], revision: int) -> dict[str, Any]:
    """A document as it is kept: with the revision that wrote it."""
    return {**document, "metadata": {**document["metadata"], "resourceVersion": str(revision)}}


def _created(draft: Draft) -> dict[str, Any]:
    metadata = {name: value for name, value in draft.document["metadata"].items() if name not in STORE_FILLS}
    metadata["uid"] = str(uuid.uuid4())
    metadata["generation"] = 1
    metadata["creationTimestamp"] = stamp()
    document = {**draft.document, "metadata": metadata}
    document.pop("status", None)
    return document


def _replaced(before: Resource, draft: Draft) -> dict[str, Any]:
    metadata = _merged(before.metadata, draft.document["metadata"])
    document = {**draft.document, "metadata": _with_filled(metadata, before)}
    document.pop("status", None)
    if "status" in before.document:
        document["status"] = before.document["status"]
    return _raise_generation(before, document)


def _merged(there: Mapping[str, Any], said: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata that is `there`, with what is `said`: what others have put there is theirs to take away."""
    merged = dict(there)
    for name, value in said.items():
        before = there.get(name)
        if name in TOLD_BY_NAME and isinstance(before, dict):
            merged[name] = before | (value or {})
        elif name in LISTED and isinstance(before, list):
            merged[name] = _both(before, value or [])
        elif value is not None:
            merged[name] = value
    return merged


def _both(there: list[Any], said: object) -> object:
    """The items of two lists, each once; of two owners with one uid the one that is said."""
    if not isinstance(said, list):
        return said  # for the server to refuse
    return list({_identity(item): item for item in (*there, *said)}.values())


def _identity(item: object) -> str:
    return str((item.get("uid") if isinstance(item, dict) else None) or item)


def _with_filled(metadata: Mapping[str, Any], before: Resource) -> dict[str, Any]:
    """`metadata` with the store's own fields as they were."""
    users = {name: value for name, value in metadata.items() if name not in STORE_FILLS}
    return users | {name: before.metadata[name] for name in STORE_FILLS if name in before.metadata}


def _raise_generation(before: Resource, document: dict[str, Any]) -> dict[str, Any]:
    if not same(before.document.get("spec"), document.get("spec")):
        document["metadata"]["generation"] = before.generation + 1
    return document


def _existing(before: Resource | None, what: str, resource_version: str | None) -> Resource:
    if before is None:
        raise NotFound(f"{what}: does not exist")
    if resource_version is not None:
        _require_version(before, resource_version)
    return before


def _require_version(before: Resource, resource_version: str) -> None:
    if before.resource_version != resource_version:
        raise Conflict(f"{before}: is at resourceVersion {before.resource_version}, not {resource_version!r}")


def _clean_patch(patch: Mapping[str, Any], what: str) -> dict[str, Any]:
    clean = plain(patch, what)
    if not isinstance(clean, dict):
        raise InvalidObject(what, [Problem("patch", patch, "an object (JSON merge patch)")])
    return clean


def _identity_changes(before: Resource, document: Mapping[str, Any]) -> list[Problem]:
    problems = [
        Problem(field, document.get(field), f"stays {before.document.get(field)}")
        for field in ("apiVersion", "kind")
        if document.get(field) != before.document.get(field)
    ]
    metadata = document.get("metadata")
    if not isinstance(metadata, dict):
        return [*problems, Problem("metadata", metadata, "an object")]
    return problems + [
        Problem(f"metadata.{field}", metadata.get(field), f"stays {before.metadata.get(field)}")
        for field in ("name", "namespace")
        if metadata.get(field) != before.metadata.get(field)
    ]
