"""From the command line of ``lab up`` to a plan; everything that can be wrong is found here, before anything starts."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from meshnet.cli.files import WrongFiles, read_files
from meshnet.cli.lab import wishes
from meshnet.cni.plugin import plugin_command
from meshnet.errors import InvalidObject, UsageError
from meshnet.lab.manifests import read_manifests
from meshnet.lab.network import lab_network
from meshnet.lab.placement import place
from meshnet.lab.plan import LabPlan
from meshnet.lab.underlay import Underlay
from meshnet.model.check import check, problem_findings
from meshnet.model.finding import Severity
from meshnet.model.resource import DEFAULT_NAMESPACE

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from meshnet.driver.registry import Registry
    from meshnet.model.documents import Document

T = TypeVar("T")


def make_plan(args: argparse.Namespace, name: str) -> LabPlan:
    """Return what `args` ask for. Raises UsageError, and MeshnetError when the files or the machine are not right."""
    documents = read_files(args.files)
    _check(args, documents)
    manifests = _located(documents, lambda: read_manifests(document.document for document in documents))
    if not manifests.pods:
        raise UsageError(
            f"{', '.join(args.files)}: no Pod, StatefulSet or Deployment in there: nothing to bring up "
            "(a Topology starts no pod: add one of its name)"
        )
    placement = place(manifests.pods, args.nodes, wishes.places(args.place))
    preference, unmet = _preference(args.driver, manifests.topologies, placement.of)
    if not args.quiet:
        _say((*manifests.notes, *placement.notes, *unmet))
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
    findings = check(documents, namespace=DEFAULT_NAMESPACE, canonical=_canonical(documents))
    errors = [finding for finding in findings if finding.severity is Severity.ERROR]
    for finding in findings:
        if finding in errors or not args.quiet:
            print(finding, file=sys.stderr)
    if errors:
        raise WrongFiles(f"{len(errors)} error(s) in the files: nothing was started")


def _canonical(documents: Iterable[Document]) -> Callable[[str], str]:
    """Return what makes equal the names of one driver; drivers are imported only when a link names one."""
    named = any(
        isinstance(link, dict) and link.get("driver")
        for document in documents
        for link in (document.document.get("spec") or {}).get("links") or ()
        if document.kind == "Topology"
    )
    if not named:
        return str
    registry = _registry()

    def canonical(driver: str) -> str:
        entry = registry.find(driver)
        return entry.name if entry else driver

    return canonical


def _located(documents: Sequence[Document], read: Callable[[], T]) -> T:
    """Call `read`; what it finds wrong is printed with file and line. Raises WrongFiles."""
    try:
        return read()
    except InvalidObject as error:
        for document in documents:
            name = f"{document.kind} {document.namespace or DEFAULT_NAMESPACE}/{document.name}"
            if name == error.object:
                print(*problem_findings(document, error.problems), sep="\n", file=sys.stderr)
                raise WrongFiles(f"{len(error.problems)} error(s) in the files: nothing was started") from error
        raise


def _preference(
    driver: str | None, topologies: Iterable[Mapping[str, Any]], placement: Mapping[tuple[str, str], str]
) -> tuple[Mapping[str, str], Iterable[str]]:
    """Return the settings that prefer a driver, and what to tell of links that it cannot make. Raises UsageError."""
    if not driver:
        return {}, ()
    from meshnet.cli.lab.preferred import notes_for, preferred, settings_for  # noqa: PLC0415 - loads every driver

    entry = preferred(driver)
    return settings_for(entry), notes_for(entry, topologies, placement)


def _registry() -> Registry:
    from meshnet.driver.registry import Registry  # noqa: PLC0415 - loads every driver

    return Registry.load()


def _say(notes: Iterable[str]) -> None:
    for note in notes:
        print("note:", note, file=sys.stderr)
