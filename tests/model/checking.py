"""Everything that is wrong in texts, as ``meshnet check`` finds it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshnet.model.check import check, read_all

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshnet.model.finding import Finding


def check_texts(texts: Iterable[tuple[str, str]]) -> list[Finding]:
    """Return what is wrong in several (text, source), unreadable ones included; all of them count as one set."""
    documents, findings = read_all(texts)
    return findings + check(documents)
