"""Signing in once a command: a kubeconfig may name a program that takes a second for it."""

from __future__ import annotations

import threading
from typing import Any

import attrs

from meshnet.stores.kubernetes.access import Access


@attrs.frozen
class SignedIn(Access):
    """An `Access` that reads its kubeconfig at the first question, and never again; for any thread."""

    _lock: Any = attrs.field(factory=threading.Lock, init=False, repr=False, eq=False)
    _known: list[tuple[Any, Any]] = attrs.field(factory=list, init=False, repr=False, eq=False)

    def configuration(self) -> tuple[Any, Any]:
        with self._lock:
            if not self._known:
                self._known.append(super().configuration())
            return self._known[0]
