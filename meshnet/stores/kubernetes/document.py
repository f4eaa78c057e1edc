"""Documents on their way to the API server and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshnet.stores.edits import STORE_FILLS

if TYPE_CHECKING:
    from collections.abc import Mapping


def received(document: dict[str, Any]) -> dict[str, Any]:
    """Return an object of the API as our stores give it: without the server's own notes on who wrote which field."""
    document["metadata"].pop("managedFields", None)
    return document


def users(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a document is a user's to say: not the status, nor what the store fills."""
    own = {name: value for name, value in document.items() if name != "status"}
    metadata = own.get("metadata")
    if isinstance(metadata, dict):
        own["metadata"] = {name: value for name, value in metadata.items() if name not in STORE_FILLS}
    return own


def at_version(document: Mapping[str, Any], resource_version: str) -> dict[str, Any]:
    """Return a document, or a patch, that the server takes only while the object is at that version."""
    return {**document, "metadata": {**(document.get("metadata") or {}), "resourceVersion": resource_version}}
