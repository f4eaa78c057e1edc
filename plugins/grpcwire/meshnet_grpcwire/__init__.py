"""Link driver ``grpcwire``: a cable between pods of two nodes, whose frames the daemons carry by a stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshnet.driver import hookimpl
from meshnet_grpcwire.driver import GrpcwireDriver

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshnet.driver import LinkDriver

__all__ = ["GrpcwireDriver", "meshnet_register_drivers"]


@hookimpl
def meshnet_register_drivers(register: Callable[[type[LinkDriver]], None]) -> None:
    register(GrpcwireDriver)
