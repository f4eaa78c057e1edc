"""Whether this machine can have labs and daemons: all that is looked at without asking any daemon."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshnet.cli.checks.drivers import check_drivers
from meshnet.cli.checks.kernel import check_kernel
from meshnet.cli.checks.machine import check_machine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshnet.cli.checks.finding import Finding


def check_local() -> Sequence[Finding]:
    """Return what was found about programs, rights, kernel features and installed drivers."""
    return [*check_machine(), *check_kernel(), *check_drivers()]
