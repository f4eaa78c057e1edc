"""How old the schemas of our resources are in a cluster: each carries a number, and a daemon knows the one it needs.

An API server drops or refuses what a schema does not know, so a daemon that is newer than the cluster's schema could
write what nobody reads. It says so instead of leaving that to be found out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

ANNOTATION = "networkop.co.uk/schema"
"""Of a CustomResourceDefinition: its number, a decimal."""

VERSION = 1
"""The number that this release's manifests have; it rises when daemons begin to write what an older schema has not."""


def schema_complaint(definition: Mapping[str, Any]) -> str | None:
    """Return what is wrong with the age of a CustomResourceDefinition, and what to do about it; None when all is well.

    Newer ones are well: fields are only added. One without a number is upstream's, or older than all of ours.
    """
    metadata = definition.get("metadata")
    metadata = metadata if isinstance(metadata, Mapping) else {}
    annotations = metadata.get("annotations")
    mark = annotations.get(ANNOTATION) if isinstance(annotations, Mapping) else None
    number = int(mark) if isinstance(mark, str) and mark.isascii() and mark.isdigit() else None
    if number is not None and number >= VERSION:
        return None
    age = "has no number" if mark is None else f"is {mark!r}"
    name = metadata.get("name") or "?"
    return (
        f"CustomResourceDefinition {name}: annotation {ANNOTATION} {age}, must be {VERSION} or more: the cluster's "
        "schema is older than this release; apply manifests/base/crd.yaml and meshnode.yaml of this release"
    )
