"""Link driver ``vxlan``: two pods of two nodes, by VXLAN in the kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshnet.driver import hookimpl
from meshnet_vxlan.driver import VxlanDriver

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshnet.driver import LinkDriver

__all__ = ["VxlanDriver", "meshnet_register_drivers"]


@hookimpl
def meshnet_register_drivers(register: Callable[[type[LinkDriver]], None]) -> None:
    register(VxlanDriver)
