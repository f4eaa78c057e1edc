"""What is wrong with the drivers that links name and the options for them, as far as the installed ones tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from meshnet.driver.api import Scope
from meshnet.driver.options import decode_options, per_end
from meshnet.errors import InvalidObject, LinkError, Problem
from meshnet.model import rules
from meshnet.model.check import check, placed, problem_findings
from meshnet.model.codec import decode_topology
from meshnet.model.effective import effective
from meshnet.model.entry import without_absent
from meshnet.model.finding import Severity
from meshnet.model.resource import API_VERSION, Kind
from meshnet.model.topology import LOCALHOST, Link

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any

    from meshnet.driver.api import LinkDriver
    from meshnet.driver.registry import Registry
    from meshnet.model.documents import Document
    from meshnet.model.effective import EffectiveLink
    from meshnet.model.finding import Finding
    from meshnet.model.topology import Topology

    Topologies = Mapping[tuple[str, str], Topology]


def topology_findings(documents: Sequence[Document], namespace: str, registry: Registry) -> list[Finding]:
    """Return what `check` finds wrong, which has to know what names and which options the installed drivers have.

    An option that any of them has for each end is not compared: which driver makes a link often depends on its nodes.
    """
    return check(documents, namespace=namespace, per_end=_per_end_of_any(registry), canonical=_canonical(registry))


def driver_findings(documents: Sequence[Document], namespace: str, registry: Registry) -> list[Finding]:
    """Return what is wrong in documents that belong together.

    Links of what is no valid Topology are judged by themselves, as far as they name a driver and give options. A driver
    that is not installed here is a warning: it may be on the nodes.
    """
    read = [(document, _topology(document, namespace)) for document in documents]
    options = _Options(registry, {topology.key: topology for _, topology in read if topology})
    findings: list[Finding] = []
    for document, topology in read:
        for path, link in _links(document, topology):
            findings += problem_findings(document, options.problems(topology, link, f"{path}.options"))
            findings += _name_findings(document, registry, link, path)
    return findings


def _canonical(registry: Registry) -> Callable[[str], str]:
    """Return what makes one name of all that a driver has, as a daemon does."""

    def canonical(name: str) -> str:
        entry = registry.find(name)
        return entry.name if entry else name.lower()

    return canonical


def _per_end_of_any(registry: Registry) -> frozenset[str]:
    return frozenset(name for entry in registry.entries() for name in per_end(entry.driver))


def _topology(document: Document, namespace: str) -> Topology | None:
    if document.kind != Kind.TOPOLOGY.value:
        return None
    try:
        return decode_topology(placed(document, namespace).document)
    except InvalidObject:
        return None


def _links(document: Document, topology: Topology | None) -> Iterator[tuple[str, Link]]:
    """Yield the links of a document with their paths; of what is no valid Topology, what drivers are told by them."""
    if topology is not None:
        yield from ((f"spec.links[{index}]", link) for index, link in enumerate(topology.links))
        return
    ours = (document.api_version, document.kind) == (API_VERSION, Kind.TOPOLOGY.value)
    spec = document.document.get("spec") if ours else None
    entries = spec.get("links") if isinstance(spec, dict) else None
    for index, entry in enumerate(entries if isinstance(entries, list) else ()):
        if isinstance(entry, dict) and (link := _to_drivers(entry)):
            yield f"spec.links[{index}]", link


def _to_drivers(entry: Mapping[str, Any]) -> Link | None:
    """Return a link that has the driver and the options of an entry in which something else is wrong."""
    given = without_absent(entry)
    try:
        driver = rules.driver_name(given["driver"]) if "driver" in given else None
    except rules.RuleError:
        return None
    try:
        options = rules.options(given.get("options", {}))
    except rules.RuleError:
        options = {}
    peer = LOCALHOST if given.get("peer_pod") == LOCALHOST else ""
    return Link(uid=0, peer_pod=peer, local_intf="", peer_intf="", driver=driver, options=options)


def _name_findings(document: Document, registry: Registry, link: Link, path: str) -> Iterator[Finding]:
    if not link.driver:
        return
    where = f"{path}.driver"
    try:
        driver = registry.get(link.driver).driver
    except LinkError as error:
        told = str(error).replace("on this node", "here")
        (finding,) = problem_findings(document, [Problem(where, None, f"{told}; its nodes may have it")])
        yield attrs.evolve(finding, severity=Severity.WARNING)
        return
    suits = Scope.EXTERNAL if link.external else Scope.SAME_NODE | Scope.BETWEEN_NODES
    if not driver.scopes & suits:
        kind = "to an interface of the node" if link.external else "between pods"
        yield from problem_findings(document, [Problem(where, link.driver, f"this driver makes no links {kind}")])


class _Options:
    """The options of links, judged by the driver that gets them."""

    def __init__(self, registry: Registry, topologies: Topologies) -> None:
        self._registry = registry
        self._topologies = topologies
        self._canonical = _canonical(registry)
        self._per_end = _per_end_of_any(registry)

    def problems(self, topology: Topology | None, link: Link, path: str) -> Iterator[Problem]:
        """Yield what is wrong with the options of a link, as its driver will get them; each where it is written."""
        if topology is None:
            yield from self._wrong(link, link.driver, link.options, path)
            return
        try:
            agreed = self._agreed(topology, link, self._per_end)
        except LinkError:  # `check` tells it; what this end gives can be judged by itself
            yield from self._wrong(link, link.driver, link.options, path)
        else:
            yield from self._wrong(link, agreed.driver, agreed.options, path)
            yield from self._differing(topology, link, agreed, path)

    def _wrong(self, link: Link, name: str | None, options: Mapping[str, Any], path: str) -> Iterator[Problem]:
        driver = _driver(self._registry, name, link)
        if driver is None:
            return
        try:
            decode_options(driver, options, path)
        except InvalidObject as error:
            theirs = tuple(f"{path}.{key}" for key in options.keys() - link.options.keys())
            yield from (problem for problem in error.problems if not problem.path.startswith(theirs))

    def _differing(self, topology: Topology, link: Link, agreed: EffectiveLink, path: str) -> Iterator[Problem]:
        """Yield, at one of the ends, what both must have alike for their driver, though not for another's."""
        driver = _driver(self._registry, agreed.driver, link)
        if driver is None or agreed.peer is None or agreed.local.sort_key < agreed.peer.sort_key:
            return
        try:
            self._agreed(topology, link, per_end(driver))
        except LinkError as error:
            yield Problem(path, None, str(error))

    def _agreed(self, topology: Topology, link: Link, own: frozenset[str]) -> EffectiveLink:
        peer = topology.peer(link)
        other = self._topologies.get((peer.namespace, peer.pod)) if peer else None
        return effective(topology, link, other, own, canonical=self._canonical)


def _driver(registry: Registry, name: str | None, link: Link) -> LinkDriver | None:
    """Return the driver that a link gets wherever its pods run, or None where that cannot be told."""
    if name:
        entry = registry.find(name)
        return entry.driver if entry else None
    if not link.external:
        return None
    try:
        claimants = registry.claimants(Scope.EXTERNAL)
    except LinkError:
        return None
    return claimants[0].driver if claimants else None
