"""``meshnet doctor``: everything that a bug report should say, and what to do about it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import attrs

from meshnet.cli.checks.finding import Finding, Outcome
from meshnet.cli.output import emit
from meshnet.cli.parser import add_output_option
from meshnet.cli.table import COLOURS, colourful, paint
from meshnet.cli.target import NothingHere, find_target, names_cluster
from meshnet.errors import InvalidObject, UsageError
from meshnet.model.printable import printable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from meshnet.cli.parser import Subparsers

INDENT = " " * 15


def register(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "doctor",
        description="Check everything a user would be asked in a bug report, and say what to do about it. On this "
        "machine: kernel features (tried in a throw-away network namespace), rights, the CNI plugin, drivers, the "
        "daemons with theirs, the store, and commands of a lab's pods. On a cluster: its resources, rights and "
        "policy, the daemons' pods, the plugin and the drivers on each node, node records, Topologies without a pod. "
        "On both: links that are not up, or by which nothing arrives. Exit code 1 when something fails. For a report: "
        "meshnet doctor -o json.",
        example="meshnet doctor\nmeshnet doctor --quiet\nmeshnet doctor --context prod",
    )
    add_output_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    findings = _findings(args)
    if args.output in ("table", "wide"):
        colour = colourful(sys.stdout)
        for finding in findings:
            if not args.quiet or finding.outcome is not Outcome.OK:
                print(line(finding, colour=colour))
    else:
        emit(args, [{**attrs.asdict(finding), "outcome": finding.outcome.value} for finding in findings])
    return 1 if any(finding.outcome is Outcome.FAIL for finding in findings) else 0


def _findings(args: argparse.Namespace) -> Sequence[Finding]:
    try:
        target = find_target(args)
    except (UsageError, InvalidObject) as error:
        if args.lab or args.kubectl or names_cluster(args):
            raise
        from meshnet.cli.checks.local import check_local  # noqa: PLC0415 - a cluster's user need not have all of it
        from meshnet.cli.checks.node import no_target  # noqa: PLC0415

        return [*check_local(), no_target(str(error), wrong=not isinstance(error, NothingHere))]
    return target.findings()


def line(finding: Finding, *, colour: bool) -> str:
    """Return a finding for people: a line, and one more for what to do."""
    how = paint(f"{finding.outcome.value:<5}", COLOURS[finding.outcome.value], colour=colour)
    told = f"{how} {finding.area:<8} {printable(f'{finding.about}: {finding.told}')}"
    return f"{told}\n{INDENT}{printable(finding.advice)}" if finding.advice else told
