"""Which Node a pod runs on, uid and all, by the token that the cluster gave the pod: no request, no right needed."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def node_owners(token: str, node: str) -> Sequence[Mapping[str, Any]]:
    """Return the owner references of a node's record, by a service account's token.

    None of them when the token does not tell the Node, or tells another than `node`. What it says is not verified: the
    API server does that, and its policy compares the reference with the same token.
    """
    told = _private_claims(token).get("node")
    if not isinstance(told, dict) or told.get("name") != node or not told.get("uid"):
        return []
    return [{"apiVersion": "v1", "kind": "Node", "name": node, "uid": told["uid"]}]


def _private_claims(token: str) -> Mapping[str, Any]:
    """Return what Kubernetes has added to a token; nothing of what is no such token."""
    parts = token.strip().split(".")
    try:
        payload = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        claims = payload["kubernetes.io"]
    except (IndexError, KeyError, TypeError, ValueError):
        return {}
    return claims if isinstance(claims, dict) else {}
