"""What the lab answers to a request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import attrs

from meshnet.errors import DaemonUnreachable, MeshnetError, StoreUnavailable, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping


TOLD = (UsageError, DaemonUnreachable, StoreUnavailable)
"""Kinds of errors that whoever asked is to see as such: they have exit codes of their own."""


@attrs.frozen
class Reply:
    """An answer: JSON, and descriptors, which are closed once they are sent."""

    document: Mapping[str, Any]
    descriptors: tuple[int, ...] = ()

    @classmethod
    def refusal(cls, error: MeshnetError) -> Self:
        """The answer to what did not become true."""
        kind = next((known.__name__ for known in TOLD if isinstance(error, known)), "")
        return cls({"error": str(error), "kind": kind})


def raise_refusal(answer: Mapping[str, Any]) -> None:
    """Raise the error that a lab answered with, if it is one."""
    if "error" in answer:
        kind = next((known for known in TOLD if known.__name__ == answer.get("kind")), MeshnetError)
        raise kind(str(answer["error"]))
