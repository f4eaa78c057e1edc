"""``meshnet check``: everything that is wrong in topology files."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import attrs

from meshnet.cli.checkdrivers import driver_findings, topology_findings
from meshnet.cli.checkpods import pod_findings
from meshnet.cli.files import FILE_HELP, read_texts
from meshnet.cli.output import emit
from meshnet.cli.parser import add_namespace_option, add_output_option
from meshnet.cli.table import Column
from meshnet.driver.registry import Registry
from meshnet.model.check import read_all
from meshnet.model.finding import Severity
from meshnet.model.resource import DEFAULT_NAMESPACE

if TYPE_CHECKING:
    import argparse
    from collections.abc import Collection, Sequence

    from meshnet.cli.parser import Subparsers
    from meshnet.model.finding import Finding

COLUMNS = [Column(title) for title in ("FILE", "LINE", "SEVERITY", "OBJECT", "FIELD", "MESSAGE")]


def register(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "check",
        description="Say everything that is wrong in the files, taken together, with the line of each: in Topologies, "
        "in the options for drivers that are installed here, in the pods that `meshnet lab` would start. No daemon is "
        "needed. Exit code 1 when there is an error; a warning alone is 0.",
        example="meshnet check examples/3node.yml",
    )
    parser.add_argument("files", metavar="FILE", nargs="+", help=FILE_HELP)
    add_namespace_option(parser, default=DEFAULT_NAMESPACE)
    add_output_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    texts = read_texts(args.files)
    documents, findings = read_all(texts)
    registry = Registry.load()
    findings += topology_findings(documents, args.namespace, registry)
    findings += driver_findings(documents, args.namespace, registry)
    findings += pod_findings(documents, args.namespace)
    findings = _in_order(findings, [source for _, source in texts], {document.source for document in documents})
    errors = sum(finding.severity is Severity.ERROR for finding in findings)
    if args.output == "table":
        print(*findings, sep="\n", end="\n" if findings else "")
        if not args.quiet:
            counts = ((len(documents), "object"), (errors, "error"), (len(findings) - errors, "warning"))
            objects, *wrong = (f"{count} {word}{'' if count == 1 else 's'}" for count, word in counts)
            print(f"{objects} checked: {', '.join(wrong)}", file=sys.stderr)
    else:
        _emit(args, findings)
    return 1 if errors else 0


def _in_order(findings: Sequence[Finding], given: Sequence[str], read: Collection[str]) -> list[Finding]:
    """By file as they were given, and by line; files that could not be read come first."""
    order = {source: number for number, source in enumerate(dict.fromkeys(given))}
    return sorted(findings, key=lambda one: (one.source in read, order[one.source], one.line))


def _emit(args: argparse.Namespace, findings: Sequence[Finding]) -> None:
    rows = [{**attrs.asdict(finding), "severity": finding.severity.value} for finding in findings]
    words = ("source", "line", "severity", "object", "path", "message")
    emit(args, rows, COLUMNS, [[str(row[word]) for word in words] for row in rows], empty="nothing to say")
