"""A machine's file system."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.cluster.machine.daemons import Machine


def set_up(machine: Machine) -> None:
    """Not yet."""
    raise NotImplementedError(machine.name)
