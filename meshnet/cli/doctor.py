"""``meshnet doctor``: everything that a bug report should say, and what to do about it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import attrs

from meshnet.cli.checks.finding import Finding, Outcome
from meshnet.cli.checks.kernel import check_kernel
from meshnet.cli.checks.machine import check_machine
from meshnet.cli.checks.node import check_drivers, check_node
from meshnet.cli.output import emit
from meshnet.cli.parser import add_output_option
from meshnet.cli.table import COLOURS, colourful, paint
from meshnet.cli.target import find_target

if TYPE_CHECKING:
    import argparse

    from meshnet.cli.parser import Subparsers

INDENT = " " * 15


def register(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "doctor",
        description="Check everything a user would be asked in a bug report: kernel features (tried in a throw-away "
        "network namespace), rights, the CNI plugin, drivers, the daemons and the store. Exit code 1 when something "
        "fails. For a report: meshnet doctor -o json.",
        example="meshnet doctor\nmeshnet doctor --quiet",
    )
    add_output_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    # the target last: finding it may enter a lab's box, and from then on this is another machine's file system
    findings = [*check_machine(), *check_kernel(), *check_drivers(), *check_node(lambda: find_target(args))]
    if args.output in ("table", "wide"):
        colour = colourful(sys.stdout)
        for finding in findings:
            if not args.quiet or finding.outcome is not Outcome.OK:
                print(line(finding, colour=colour))
    else:
        emit(args, [{**attrs.asdict(finding), "outcome": finding.outcome.value} for finding in findings])
    return 1 if any(finding.outcome is Outcome.FAIL for finding in findings) else 0


def line(finding: Finding, *, colour: bool) -> str:
    """Return a finding for people: a line, and one more for what to do."""
    how = paint(f"{finding.outcome.value:<5}", COLOURS[finding.outcome.value], colour=colour)
    told = f"{how} {finding.area:<8} {finding.about}: {finding.told}"
    return f"{told}\n{INDENT}{finding.advice}" if finding.advice else told
