"""What is wrong with an object's metadata beyond its name: a store or an API server would not take it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from meshnet.model.entry import problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshnet.errors import Problem


def metadata_problems(metadata: object) -> Iterator[Problem]:
    """Yield what is wrong with labels, annotations and finalizers; nothing of what is no metadata at all."""
    if not isinstance(metadata, Mapping):
        return
    for field in ("labels", "annotations"):
        values = metadata.get(field)
        if not isinstance(values, (Mapping, type(None))):
            yield problem(f"metadata.{field}", values, "an object of texts")
            continue
        for name, value in (values or {}).items():
            if not isinstance(value, str):
                yield problem(f"metadata.{field}.{name}", value, "a text (put it in quotes)")
    finalizers = metadata.get("finalizers")
    if finalizers is not None and not (isinstance(finalizers, list) and all(isinstance(f, str) for f in finalizers)):
        yield problem("metadata.finalizers", finalizers, "a list of texts")
