"""From Kubernetes documents to what a lab brings up: topologies and pods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from meshnet.lab.configmap import read_config_map
from meshnet.lab.notes import Notes
from meshnet.lab.podtemplate import PodReader
from meshnet.model.codec import title
from meshnet.model.fields import Fields, refuse
from meshnet.model.resource import ObjectKey, is_topology

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from meshnet.lab.podspec import PodSpec
    from meshnet.lab.podtemplate import ConfigMaps
    from meshnet.model.topology import PodKey

    Document = Mapping[str, Any]

MOST_REPLICAS = 10_000
LISTS = ("List", "TopologyList", "PodList", "ConfigMapList")
WORKLOADS = ("StatefulSet", "Deployment")


@attrs.frozen
class Manifests:
    """What a set of files asks for.

    Attributes:
        topologies: the Topology documents, as written, each with its namespace.
        pods: in the order of the files.
        notes: what was skipped or has another meaning here, for the user.
    """

    topologies: tuple[Document, ...]
    pods: tuple[PodSpec, ...]
    notes: tuple[str, ...]


def read_manifests(
    documents: Sequence[Document], namespace: str = "default", config_maps: ConfigMaps | None = None
) -> Manifests:
    """Return what `documents` ask for.

    A StatefulSet's pods, and a Deployment's too, are NAME-0, NAME-1, ..., or from ``ordinals.start`` on.

    Args:
        documents: of any kind; a list's are those in it.
        namespace: where those go that name none.
        config_maps: which there are; None for those among `documents`.

    Raises InvalidObject for the first document that is wrong, with everything that is wrong in it.
    """
    if config_maps is None:
        config_maps = read_config_maps(documents, namespace)
    return _Reading(documents, namespace, config_maps).result()


def read_config_maps(documents: Iterable[Document], namespace: str) -> ConfigMaps:
    """Return the ConfigMaps among `documents`, by (namespace, name). Raises InvalidObject as `read_manifests` does."""
    found = {}
    for document in documents:
        if _kind(document) == "ConfigMap":
            key, fields = _identity(document, namespace)
            found[key] = read_config_map(fields)
            refuse(f"ConfigMap {'/'.join(key)}", fields.problems)
    return found


def _kind(document: Document) -> str:
    kind = document.get("kind")
    return kind if isinstance(kind, str) else ""


def _identity(document: Document, namespace: str) -> tuple[ObjectKey, Fields]:
    fields = Fields(document, "", [])
    metadata = fields.inner("metadata")
    # an empty namespace is what generators write for none
    given = metadata.value.get("namespace") not in (None, "")
    return (metadata.dns_label("namespace") if given else namespace, metadata.dns_name("name")), fields


class _Reading:
    def __init__(self, documents: Sequence[Document], namespace: str, config_maps: ConfigMaps) -> None:
        self._documents = documents
        self._namespace = namespace
        self._config_maps = config_maps
        self._notes = Notes()
        self._topologies: dict[PodKey, Document] = {}
        self._pods: dict[PodKey, PodSpec] = {}

    def result(self) -> Manifests:
        for document in self._documents:
            self._read(document)
        for key in self._topologies:
            if key not in self._pods:
                self._notes.add(f"Topology {'/'.join(key)} has no Pod in these files: not started")
        return Manifests(tuple(self._topologies.values()), tuple(self._pods.values()), self._notes.told())

    def _read(self, document: Document) -> None:
        kind = _kind(document)
        if kind == "ConfigMap":
            return
        if is_topology(document):
            self._topology(document)
        elif kind == "Pod":
            key, fields = _identity(document, self._namespace)
            self._pod(f"Pod {'/'.join(key)}", key, fields.inner("spec"))
            refuse(f"Pod {'/'.join(key)}", fields.problems)
        elif kind in WORKLOADS:
            key, fields = _identity(document, self._namespace)
            self._workload(kind, key, fields)
            refuse(f"{kind} {'/'.join(key)}", fields.problems)
        elif kind in LISTS:
            self._list(document)
        else:
            self._skip(kind or "document without a kind", document)

    def _list(self, document: Document) -> None:
        """Look at a list that was not opened: it has no items, or they are none."""
        fields = Fields(document, "", [])
        fields.items("items")
        refuse(title(document), fields.problems)

    def _skip(self, what: str, document: Document) -> None:
        fields = Fields(document, "", [])
        name = fields.inner("metadata").text("name", "") or "without a name"
        refuse(title(document), fields.problems)
        self._notes.add(f"{what} {name}: a lab has no use for it: skipped")

    def _topology(self, document: Document) -> None:
        key, fields = _identity(document, self._namespace)
        refuse(f"Topology {'/'.join(key)}", fields.problems)
        self._topologies[key] = {**document, "metadata": {**document["metadata"], "namespace": key[0]}}

    def _pod(self, what: str, key: PodKey, spec: Fields) -> None:
        pod = PodReader(*key, spec, self._config_maps, self._notes.add).read()
        if key in self._pods:
            self._notes.add(f"{what}: another of the same name came before: the later one counts")
        self._pods[key] = pod

    def _workload(self, kind: str, key: ObjectKey, fields: Fields) -> None:
        spec = fields.inner("spec")
        replicas = spec.number("replicas", 1, high=MOST_REPLICAS)
        template = spec.inner("template").inner("spec")
        namespace, name = key
        if kind == "Deployment":
            self._notes.add(f"Deployment {namespace}/{name}: its pods are named {name}-0, {name}-1, ... here")
        first = spec.inner("ordinals").number("start", 0)
        for index in range(first, first + replicas):
            before = len(template.problems)
            self._pod(f"{kind} {namespace}/{name}", (namespace, f"{name}-{index}"), template)
            if len(template.problems) > before:
                return  # the same for every replica
