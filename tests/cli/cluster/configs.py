"""Kubeconfigs for tests, of clusters that nobody serves."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def kubeconfig(path: Path, *contexts: str, current: str = "", namespace: str = "") -> str:
    """Write one with these contexts, the same namespace in each, and return its name."""
    context = {"cluster": "c", "user": "u"} | ({"namespace": namespace} if namespace else {})
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": name, "context": context} for name in contexts],
        "current-context": current,
    }
    path.write_text(json.dumps(document))
    return str(path)
