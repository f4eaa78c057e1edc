"""What is wrong with the drivers that links name and the options for them, as far as the installed ones tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from meshnet.driver.api import Scope
from meshnet.driver.options import decode_options, per_end
from meshnet.errors import InvalidObject, LinkError, Problem
from meshnet.model.check import problem_findings
from meshnet.model.codec import decode_topology
from meshnet.model.effective import effective
from meshnet.model.finding import Severity
from meshnet.model.resource import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from meshnet.driver.api import LinkDriver
    from meshnet.driver.registry import Registry
    from meshnet.model.documents import Document
    from meshnet.model.finding import Finding
    from meshnet.model.topology import Link, Topology

    Topologies = Mapping[tuple[str, str], Topology]


def driver_findings(documents: Sequence[Document], namespace: str, registry: Registry) -> list[Finding]:
    """Return what is wrong in documents that belong together; those that are no valid Topology are left out.

    A driver that is not installed here is a warning: it may be on the nodes.
    """
    read = [(document, topology) for document in documents if (topology := _topology(document, namespace))]
    topologies = {topology.key: topology for _, topology in read}
    findings: list[Finding] = []
    for document, topology in read:
        for index, link in enumerate(topology.links):
            path = f"spec.links[{index}]"
            findings += problem_findings(document, _option_problems(registry, topologies, topology, link, path))
            findings += _name_findings(document, registry, link, path)
    return findings


def per_end_options(registry: Registry) -> frozenset[str]:
    """Return the options that the two ends of a link may have differently, of any installed driver."""
    return frozenset(name for entry in registry.entries() for name in per_end(entry.driver))


def _topology(document: Document, namespace: str) -> Topology | None:
    if document.kind != Kind.TOPOLOGY.value:
        return None
    metadata = document.document.get("metadata")
    placed = {**metadata, "namespace": document.namespace or namespace} if isinstance(metadata, dict) else metadata
    try:
        return decode_topology({**document.document, "metadata": placed})
    except InvalidObject:
        return None


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


def _option_problems(
    registry: Registry, topologies: Topologies, topology: Topology, link: Link, path: str
) -> list[Problem]:
    """Return what is wrong with the options of a link, as its driver will get them; each where it is written."""
    name, options = _agreed(registry, topologies, topology, link)
    driver = _driver(registry, name, link)
    if driver is None:
        return []
    where = f"{path}.options"
    try:
        decode_options(driver, options, where)
    except InvalidObject as error:
        theirs = tuple(f"{where}.{key}" for key in options.keys() - link.options.keys())
        return [problem for problem in error.problems if not problem.path.startswith(theirs)]
    return []


def _agreed(
    registry: Registry, topologies: Topologies, topology: Topology, link: Link
) -> tuple[str | None, Mapping[str, Any]]:
    """Return the driver and the options that both ends give; those of this end alone where they do not agree."""
    peer = topology.peer(link)
    other = topologies.get((peer.namespace, peer.pod)) if peer else None

    def canonical(driver: str) -> str:
        entry = registry.find(driver)
        return entry.name if entry else driver

    try:
        agreed = effective(topology, link, other, per_end_options(registry), canonical=canonical)
    except LinkError:
        return link.driver, link.options
    return agreed.driver, agreed.options


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
