"""Link driver ``macvlan``: a pod on the network that an interface of its node is on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshnet.driver import hookimpl
from meshnet_macvlan.driver import MacvlanDriver

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshnet.driver import LinkDriver

__all__ = ["MacvlanDriver", "meshnet_register_drivers"]


@hookimpl
def meshnet_register_drivers(register: Callable[[type[LinkDriver]], None]) -> None:
    register(MacvlanDriver)
