"""Everything that is wrong in topology files, with the line of each: what ``meshnet check`` prints. Needs no daemon."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

import attrs

from meshnet.errors import InvalidObject
from meshnet.model.codec import decode_topology, title
from meshnet.model.crosscheck import Declared, cross_findings
from meshnet.model.documents import BadText, read_documents
from meshnet.model.entry import LINK_FIELDS
from meshnet.model.finding import Finding, Severity
from meshnet.model.metadata import metadata_problems
from meshnet.model.resource import API_VERSION, DEFAULT_NAMESPACE, GROUP, Kind, is_topology

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from meshnet.errors import Problem
    from meshnet.model.documents import Document
    from meshnet.model.topology import PodKey

_KINDS = (*(kind.value for kind in Kind), "GWireKObj")
"""Kinds of our group; the last is upstream's own record, which may be among exported objects."""


def read_all(texts: Iterable[tuple[str, str]]) -> tuple[list[Document], list[Finding]]:
    """Return the documents of several (text, source), and why others cannot be read."""
    documents: list[Document] = []
    findings: list[Finding] = []
    for text, source in texts:
        try:
            documents += read_documents(text, source)
        except BadText as error:
            findings.append(Finding(Severity.ERROR, error.source, error.line, "", "", error.what))
    return documents, findings


def check(
    documents: Sequence[Document],
    *,
    namespace: str = DEFAULT_NAMESPACE,
    per_end: frozenset[str] = frozenset(),
    canonical: Callable[[str], str] = str,
) -> list[Finding]:
    """Return everything wrong in documents that belong together, by file and line.

    Args:
        documents: of one or several files; of what is no Topology only kind and version are looked at.
        namespace: of objects that name none.
        per_end: option keys that the two ends of a link may have differently.
        canonical: gives a driver's name for any of its aliases; without it, names are compared as written.
    """
    documents = [placed(document, namespace) for document in documents]
    findings = [*doubles(documents)]
    declared: dict[PodKey, Declared] = {}
    broken: set[PodKey] = set()
    for document in documents:
        findings += _head_findings(document)
        if not is_topology(document.document):
            findings += _another_group(document)
            continue
        findings += [*_unknown_fields(document), *_metadata_findings(document)]
        try:
            topology = decode_topology(document.document)
        except InvalidObject as error:
            broken.add((document.namespace, document.name))
            findings += problem_findings(document, error.problems)
        else:
            declared.setdefault(topology.key, Declared(document, topology))
    findings += cross_findings(declared, broken, per_end, canonical)
    order = {source: number for number, source in enumerate(dict.fromkeys(document.source for document in documents))}
    return sorted(findings, key=lambda finding: (order[finding.source], finding.line))


def faults(document: Document) -> list[Finding]:
    """Return what keeps an object from being stored, whatever stands beside it; of what is no Topology, what it is."""
    findings = [*_head_findings(document)]
    if not is_topology(document.document):
        return findings
    findings += _metadata_findings(document)
    try:
        decode_topology(document.document)
    except InvalidObject as error:
        findings += problem_findings(document, error.problems)
    return findings


def placed(document: Document, namespace: str) -> Document:
    """Return an object in the namespace where it would be applied: `namespace` when it names none."""
    metadata = document.document.get("metadata")
    if not isinstance(metadata, dict) or metadata.get("namespace") not in (None, ""):
        return document
    return attrs.evolve(document, document={**document.document, "metadata": {**metadata, "namespace": namespace}})


def _metadata_findings(document: Document) -> list[Finding]:
    return problem_findings(document, metadata_problems(document.document.get("metadata")))


def _head_findings(document: Document) -> Iterator[Finding]:
    for name in ("apiVersion", "kind"):
        value = document.document.get(name)
        if not isinstance(value, str) or not value:
            yield _error(document, name, "is required: a string that says what this is")
    if document.kind not in {"", *_KINDS} and document.api_version.partition("/")[0] == GROUP:
        yield _error(document, "kind", f"{document.kind!r}: must be {' or '.join(_KINDS)}")


def _another_group(document: Document) -> Iterator[Finding]:
    """A Topology that is not ours, with links as ours have: a misspelt group, or one that took the fields over."""
    spec = document.document.get("spec")
    links = spec.get("links") if document.kind == Kind.TOPOLOGY.value and isinstance(spec, dict) else None
    if isinstance(links, list) and any(isinstance(link, dict) and "peer_pod" in link for link in links):
        message = (
            f"{document.api_version!r}: is not meshnet's, which leaves this Topology alone; is {API_VERSION} meant?"
        )
        yield _finding(Severity.WARNING, document, "apiVersion", message)


def doubles(documents: Sequence[Document]) -> Iterator[Finding]:
    """The second of two objects that would be one on a cluster: it would replace the first."""
    first: dict[tuple[str, str, str, str], Document] = {}
    for document in documents:
        key = document.api_version, document.kind, document.namespace, document.name
        if document.name and first.setdefault(key, document) is not document:
            where = first[key].where("metadata.name")
            yield _error(document, "metadata.name", f"{document.name!r}: is declared already, at {where}")


def _unknown_fields(document: Document) -> Iterator[Finding]:
    """Fields that meshnet keeps and ignores: most often a misspelt one."""
    spec = document.document.get("spec")
    if not isinstance(spec, dict):
        return
    yield from _unknown(document, "spec", spec, ("links",))
    links = spec.get("links")
    for index, link in enumerate(links if isinstance(links, list) else ()):
        if isinstance(link, dict):
            yield from _unknown(document, f"spec.links[{index}]", link, LINK_FIELDS)


def _unknown(document: Document, path: str, found: Iterable[str], known: Sequence[str]) -> Iterator[Finding]:
    for name in found:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"; is {close[0]} meant?" if close else ""
            message = f"is no field of a Topology and means nothing{hint}"
            yield _finding(Severity.WARNING, document, f"{path}.{name}", message)


def problem_findings(document: Document, problems: Iterable[Problem]) -> list[Finding]:
    """Return what is wrong in an object, with the line of each in its file."""
    return [_error(document, problem.path, problem.told) for problem in problems]


def _error(document: Document, path: str, message: str) -> Finding:
    return _finding(Severity.ERROR, document, path, message)


def _finding(severity: Severity, document: Document, path: str, message: str) -> Finding:
    return Finding(severity, document.source, document.locate(path), title(document.document), path, message)
