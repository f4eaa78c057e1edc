"""What is wrong with the drivers that links name and the options for them, as far as the installed ones tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from meshnet.cli.checkoptions import OF_PODS, OptionsJudge, per_end_of_any
from meshnet.driver.api import Scope
from meshnet.driver.catalog import NodeCatalog
from meshnet.errors import InvalidObject, LinkError, Problem
from meshnet.model import rules
from meshnet.model.check import check, placed, problem_findings
from meshnet.model.codec import decode_topology
from meshnet.model.entry import without_absent
from meshnet.model.finding import Severity
from meshnet.model.resource import is_topology
from meshnet.model.topology import LOCALHOST, Link

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from meshnet.driver.registry import Registry
    from meshnet.model.documents import Document
    from meshnet.model.finding import Finding
    from meshnet.model.topology import Topology


def topology_findings(documents: Sequence[Document], namespace: str, registry: Registry) -> list[Finding]:
    """Return what `check` finds wrong, which has to know what names and which options the installed drivers have.

    An option that any of them has for each end is not compared: which driver makes a link often depends on its nodes.
    """
    canonical = NodeCatalog(registry).canonical
    return check(documents, namespace=namespace, per_end=per_end_of_any(registry), canonical=canonical)


def driver_findings(documents: Sequence[Document], namespace: str, registry: Registry) -> list[Finding]:
    """Return what is wrong in documents that belong together.

    Links of what is no valid Topology are judged by themselves, as far as they name a driver and give options. A driver
    that is not installed here is a warning: it may be on the nodes.
    """
    read = [(document, _topology(document, namespace)) for document in documents]
    options = OptionsJudge(registry, {topology.key: topology for _, topology in read if topology})
    findings: list[Finding] = []
    for document, topology in read:
        for path, link in _links(document, topology):
            findings += problem_findings(document, options.problems(topology, link, f"{path}.options"))
            findings += _name_findings(document, registry, link, path)
    return findings


def _topology(document: Document, namespace: str) -> Topology | None:
    if not is_topology(document.document):
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
    spec = document.document.get("spec") if is_topology(document.document) else None
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
    suits = Scope.EXTERNAL if link.external else OF_PODS
    if not driver.scopes & suits:
        kind = "to an interface of the node" if link.external else "between pods"
        yield from problem_findings(document, [Problem(where, link.driver, f"this driver makes no links {kind}")])
