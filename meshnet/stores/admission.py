"""What a store lets in: a document that says which object it is, with metadata of the right shape.

What `spec` means is the affair of `meshnet.model`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs

from meshnet.errors import InvalidObject, NotFound, Problem
from meshnet.model.metadata import metadata_problems
from meshnet.model.resource import API_VERSION, DEFAULT_NAMESPACE, Kind, ObjectKey
from meshnet.model.rules import is_label, is_subdomain
from meshnet.stores.text import plain

if TYPE_CHECKING:
    from collections.abc import Iterator


@attrs.frozen
class Draft:
    """A document that was let in, in JSON types of its own, with its namespace filled in."""

    kind: Kind
    key: ObjectKey
    document: dict[str, Any]


def kept_in(kind: Kind, namespace: str) -> str:
    """The namespace that an object is kept in, of one that is said for it, or ``""``."""
    return (namespace or DEFAULT_NAMESPACE) if kind.namespaced else ""


def one_key(kind: Kind, namespace: str, name: str) -> ObjectKey:
    """The key of an object that is asked for. Raises NotFound for a name that no object can have.

    In a URL ``""`` would be every object, and ``..`` another path; to SQLite half a surrogate pair is no text at all.
    """
    key = kept_in(kind, namespace), name
    if not is_subdomain(name) or not (is_label(key[0]) or not kind.namespaced):
        raise NotFound(f"{label(kind, *key)}: there can be none of this name")
    return key


def label(kind: Kind, namespace: str, name: str) -> str:
    """An object as a user knows it: ``Topology default/r1``."""
    return f"{kind.value} {namespace}/{name}" if namespace else f"{kind.value} {name}"


def admit(document: Mapping[str, Any]) -> Draft:
    """Read which object a document is. Raises InvalidObject with everything that is wrong."""
    if not isinstance(document, Mapping):
        raise InvalidObject("document", [Problem("", document, "an object with apiVersion, kind and metadata")])
    own: dict[str, Any] = plain(document, _guessed_label(document))
    kind = next((kind for kind in Kind if kind.value == own.get("kind")), None)
    problems = [*_identity_problems(own, kind), *shape_problems(own)]
    if problems or kind is None:
        raise InvalidObject(_guessed_label(own), problems)
    metadata = own["metadata"]
    namespace = kept_in(kind, metadata.pop("namespace", None) or "")
    if namespace:
        metadata["namespace"] = namespace
    return Draft(kind, (namespace, metadata["name"]), own)


def shape_problems(document: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong with the shape of metadata and spec."""
    spec = document.get("spec")
    if not isinstance(spec, (dict, type(None))):
        yield Problem("spec", spec, "an object")
    yield from metadata_problems(document.get("metadata"))


def _identity_problems(document: Mapping[str, Any], kind: Kind | None) -> Iterator[Problem]:
    if document.get("apiVersion") != API_VERSION:
        yield Problem("apiVersion", document.get("apiVersion"), f"must be {API_VERSION}")
    if kind is None:
        yield Problem("kind", document.get("kind"), "must be one of " + ", ".join(kind.value for kind in Kind))
    metadata = document.get("metadata")
    if not isinstance(metadata, dict):
        yield Problem("metadata", metadata, "an object with at least a name")
        return
    name, namespace = metadata.get("name"), metadata.get("namespace")
    if not is_subdomain(name):
        yield Problem("metadata.name", name, "at most 253 of a-z, 0-9, '-' and '.', a letter or digit at both ends")
    if not namespace:
        return
    if kind is not None and not kind.namespaced:
        yield Problem("metadata.namespace", namespace, f"a {kind.value} has no namespace")
    elif not is_label(namespace):
        yield Problem("metadata.namespace", namespace, "at most 63 of a-z, 0-9 and '-', a letter or digit at both ends")


def _guessed_label(document: Mapping[str, Any]) -> str:
    """How to name a document that may be wrong everywhere."""
    metadata = document.get("metadata")
    metadata = metadata if isinstance(metadata, Mapping) else {}
    where = "/".join(str(metadata[part]) for part in ("namespace", "name") if metadata.get(part))
    return f"{document.get('kind') or 'document'} {where}".rstrip()
