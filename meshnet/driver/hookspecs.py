"""The hooks a distribution implements. They only register classes; behaviour is on the driver object."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshnet.driver.api import LinkDriver

hookspec = pluggy.HookspecMarker("meshnet")
hookimpl = pluggy.HookimplMarker("meshnet")


@hookspec
def meshnet_register_drivers(register: Callable[[type[LinkDriver]], None]) -> None:
    """Call ``register(DriverClass)`` for each link driver of the distribution."""
