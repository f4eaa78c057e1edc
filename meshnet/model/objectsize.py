"""How large an object of a store may be, and what a part of it takes."""

from __future__ import annotations

import json

MAX_OBJECT_BYTES = 1_572_864
"""Largest object as JSON: etcd's limit of a request. That the API server's notes on who wrote which field
(`managedFields`) do not fit beside it is no matter: it drops them then.
"""
KEPT_FREE_BYTES = 16 << 10
"""Of these for what comes beside the parts that are counted: in the request the object's key, more than once, and of a
status all that is said once, whatever the number of links.
"""


def bytes_kept(value: object) -> int:
    """Return how many bytes of JSON a value takes at most.

    The API server writes each of ``<``, ``>`` and ``&`` as six. What JSON has no word for counts as its text.
    """
    text = json.dumps(value, separators=(",", ":"), default=str)
    return len(text) + 5 * sum(map(text.count, "<>&"))
