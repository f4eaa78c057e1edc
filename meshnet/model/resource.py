"""An object as a store holds it: a document, unharmed, and what every document has."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any, cast

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping

API_VERSION = "networkop.co.uk/v1beta1"
GROUP = API_VERSION.partition("/")[0]

ObjectKey = tuple[str, str]
"""Namespace and name of an object; the namespace of a kind that has none is ``""``."""

DEFAULT_NAMESPACE = "default"
"""Where an object is that names no namespace."""


class Kind(enum.Enum):
    """The kinds of object that a store holds; the value is the Kubernetes kind."""

    TOPOLOGY = "Topology"
    NODE = "MeshNode"

    @property
    def namespaced(self) -> bool:
        return self is Kind.TOPOLOGY


def is_topology(document: Mapping[str, Any]) -> bool:
    """Tell whether a document is or means to be a Topology of ours; another group may have a kind of that name."""
    version = document.get("apiVersion")
    group = version.partition("/")[0] if isinstance(version, str) else ""
    return document.get("kind") == Kind.TOPOLOGY.value and group in {"", GROUP}


@attrs.frozen
class Resource:
    """A document with its identity. `document` is never changed in place.

    Attributes:
        kind: which kind of object.
        document: the whole object as JSON types, unknown fields and foreign annotations included.
    """

    kind: Kind
    document: Mapping[str, Any] = attrs.field(repr=False)

    @property
    def metadata(self) -> Mapping[str, Any]:
        return cast("Mapping[str, Any]", self.document.get("metadata") or {})

    @property
    def namespace(self) -> str:
        return str(self.metadata.get("namespace") or "")

    @property
    def name(self) -> str:
        return str(self.metadata.get("name") or "")

    @property
    def key(self) -> ObjectKey:
        """(namespace, name); the namespace of a kind that has none is ``""``."""
        return self.namespace, self.name

    @property
    def uid(self) -> str:
        return str(self.metadata.get("uid") or "")

    @property
    def generation(self) -> int:
        """Rises when the spec changes, never for a status."""
        return int(self.metadata.get("generation") or 0)

    @property
    def resource_version(self) -> str:
        """Changes at every write. Of two that are numbers, as every store's are, the larger is the later (KEP-5504)."""
        return str(self.metadata.get("resourceVersion") or "")

    @property
    def spec(self) -> Mapping[str, Any]:
        return cast("Mapping[str, Any]", self.document.get("spec") or {})

    @property
    def status(self) -> Mapping[str, Any]:
        return cast("Mapping[str, Any]", self.document.get("status") or {})

    def __str__(self) -> str:
        where = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{self.kind.value} {where}"
