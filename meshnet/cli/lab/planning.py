"""From the command line of ``lab up`` to a plan; everything that can be wrong is found here, before anything starts."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meshnet.cli.checkpods import pod_findings
from meshnet.cli.files import WrongFiles, read_files
from meshnet.cli.lab import neighbours, wishes
from meshnet.cni.plugin import plugin_command
from meshnet.errors import InvalidObject, UsageError
from meshnet.lab.manifests import read_manifests
from meshnet.lab.network import lab_network
from meshnet.lab.placement import place
from meshnet.lab.plan import LabPlan
from meshnet.lab.underlay import Underlay
from meshnet.model.check import check
from meshnet.model.finding import Severity
from meshnet.model.printable import printable
from meshnet.model.resource import DEFAULT_NAMESPACE, Kind

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Mapping, Sequence

    from meshnet.lab.manifests import Manifests
    from meshnet.model.documents import Document
    from meshnet.model.finding import Finding
    from meshnet.model.topology import PodKey


def make_plan(args: argparse.Namespace, name: str) -> LabPlan:
    """Return what `args` ask for. Raises UsageError, and MeshnetError when the files or the machine are not right."""
    documents = read_files(args.files)
    _check(args, documents)
    manifests = _manifests(documents)
    if not manifests.pods:
        raise UsageError(
            f"{', '.join(args.files)}: no Pod, StatefulSet or Deployment in there: nothing to bring up "
            "(a Topology starts no pod: add one of its name)"
        )
    placement = place(manifests.pods, args.nodes, wishes.places(args.place))
    preference, unmet = _preference(args.driver, manifests.topologies, placement.of)
    if not args.quiet:
        small = neighbours.notes_for(manifests.topologies, placement.of, args.underlay)
        _say((*manifests.notes, *placement.notes, *unmet, *small))
    plugin = plugin_command()
    lab_network(plugin, args.primary, 1, Path("/"))  # a plugin that is missing is found now
    return LabPlan(
        name=name,
        nodes=placement.nodes,
        pods={pod.key: pod for pod in manifests.pods},
        placement=placement.of,
        topologies=manifests.topologies,
        plugin=plugin,
        primary=args.primary,
        underlay=Underlay(
            args.underlay,
            args.underlay_mtu,
            args.underlay_delay / 1000,
            wishes.uplinks(args.uplink, placement.nodes),
        ),
        settings=wishes.settings(args.set, placement.nodes, preference),
        wait_s=args.wait,
    )


def _check(args: argparse.Namespace, documents: Sequence[Document]) -> None:
    """Print everything that is wrong in the topologies. Raises WrongFiles when it keeps something from working."""
    findings = _topology_findings(documents)
    errors = [finding for finding in findings if finding.severity is Severity.ERROR]
    for finding in findings:
        if finding in errors or not args.quiet:
            print(finding, file=sys.stderr)
    if errors:
        raise WrongFiles(f"{len(errors)} error(s) in the files: nothing was started")


def _topology_findings(documents: Sequence[Document]) -> list[Finding]:
    """Return what is wrong in the topologies; drivers are imported only when a link names one or has options."""
    if not any(map(_leans_on_drivers, documents)):
        return check(documents, namespace=DEFAULT_NAMESPACE)
    from meshnet.cli.checkdrivers import topology_findings  # noqa: PLC0415 - as the next
    from meshnet.driver.registry import Registry  # noqa: PLC0415 - loads every driver

    return topology_findings(documents, DEFAULT_NAMESPACE, Registry.load())


def _leans_on_drivers(document: Document) -> bool:
    """Whether a link names a driver or has options. Nothing has looked at the document yet."""
    spec = document.document.get("spec")
    links = spec.get("links") if isinstance(spec, dict) else None
    if document.kind != Kind.TOPOLOGY.value or not isinstance(links, list):
        return False
    return any(isinstance(link, dict) and (link.get("driver") or link.get("options")) for link in links)


def _manifests(documents: Sequence[Document]) -> Manifests:
    """Return what a lab reads in the files. Raises WrongFiles; what is wrong is printed with file and line."""
    try:
        return read_manifests([document.document for document in documents])
    except InvalidObject as error:
        findings = pod_findings(documents, DEFAULT_NAMESPACE)
        if not findings:
            raise
        print(*findings, sep="\n", file=sys.stderr)
        raise WrongFiles(f"{len(findings)} error(s) in the files: nothing was started") from error


def _preference(
    driver: str | None, topologies: Iterable[Mapping[str, Any]], placement: Mapping[PodKey, str]
) -> tuple[Mapping[str, str], Iterable[str]]:
    """Return the settings that prefer a driver, and what to tell of links that it cannot make. Raises UsageError."""
    if driver is None:
        return {}, ()
    from meshnet.cli.lab.preferred import notes_for, preferred, settings_for  # noqa: PLC0415 - loads every driver

    entry = preferred(driver)
    return settings_for(entry), notes_for(entry, topologies, placement)


def _say(notes: Iterable[str]) -> None:
    for note in notes:
        print("note:", printable(note), file=sys.stderr)
