"""What a lab would refuse of the pods in files: for ``meshnet check``, by the lab's own reader."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshnet.errors import InvalidObject
from meshnet.lab.manifests import read_config_maps, read_manifests
from meshnet.model.check import problem_findings
from meshnet.model.resource import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshnet.lab.podtemplate import ConfigMaps
    from meshnet.model.documents import Document
    from meshnet.model.finding import Finding


def pod_findings(documents: Sequence[Document], namespace: str) -> list[Finding]:
    """Return what is wrong in Pods, workloads and ConfigMaps; `namespace` is where those go that name none.

    When a ConfigMap is wrong nothing else is told: what refers to it cannot be judged.
    """
    maps = [document for document in documents if document.kind == "ConfigMap"]
    findings = [finding for document in maps for finding in _findings(document, None, namespace)]
    if findings:
        return findings
    known = read_config_maps((document.document for document in maps), namespace)
    others = (document for document in documents if document.kind not in {"ConfigMap", Kind.TOPOLOGY.value})
    return [finding for document in others for finding in _findings(document, known, namespace)]


def _findings(document: Document, config_maps: ConfigMaps | None, namespace: str) -> list[Finding]:
    try:
        read_manifests([document.document], namespace, config_maps)
    except InvalidObject as error:
        return problem_findings(document, error.problems)
    return []
