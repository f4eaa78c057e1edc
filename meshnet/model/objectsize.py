"""How large an object of a store may be, and what a part of it takes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MAX_OBJECT_BYTES = 1_572_864
"""Largest object as JSON: etcd's limit of a request. That the API server's notes on who wrote which field
(`managedFields`) do not fit beside it is no matter: it drops them then.
"""
KEPT_FREE_BYTES = 16 << 10
"""Of these for what comes beside the parts that are counted: in the request the object's key, more than once, and of a
status all that is said once, whatever the number of links.
"""
LINK_STATUS_BYTES = 160
"""Of the least that a status tells of a link, beside the name of its interface: 74, its reason's 63, its uid's 19."""


def why_too_large(document: Mapping[str, object], interfaces: Sequence[str]) -> str | None:
    """Return what is wrong with an object that has no room for the least that its status must tell, else None.

    Args:
        document: the Topology; its status, as it is now, does not count, nor what a server notes for itself.
        interfaces: of its links.
    """
    metadata = document.get("metadata")
    if isinstance(metadata, dict):
        metadata = {field: value for field, value in metadata.items() if field != "managedFields"}
    try:
        size = bytes_kept({**document, "metadata": metadata, "status": {}})
    except (ValueError, RecursionError):
        return None  # no store takes it
    most = MAX_OBJECT_BYTES - KEPT_FREE_BYTES - LINK_STATUS_BYTES * len(interfaces) - bytes_kept(interfaces)
    if size <= most:
        return None
    return (
        f"the object takes {size} bytes of JSON: must take at most {most}, so that there is room for the status of "
        f"{len(interfaces)} links"
    )


def bytes_kept(value: object) -> int:
    """Return how many bytes of JSON a value takes at most.

    The API server writes each of ``<``, ``>`` and ``&`` as six. What JSON has no word for counts as its text.

    Raises RecursionError for what is nested too deeply, ValueError for what is within itself.
    """
    text = json.dumps(value, separators=(",", ":"), default=str, skipkeys=True)
    return len(text) + 5 * sum(map(text.count, "<>&"))
