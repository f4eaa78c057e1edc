"""The driver's settings: environment variables of the daemon that begin with ``MESHNET_GRPCWIRE_``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from meshnet.errors import LinkError

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "MESHNET_GRPCWIRE_"
_LEAST, _MOST = 64 << 10, 256 << 20


@attrs.frozen
class Settings:
    """What the driver is told.

    Attributes:
        receive_buffer: MESHNET_GRPCWIRE_RECEIVE_BUFFER: what the kernel keeps of a pod's frames while its stream does
            not take them, bytes a wire. Less makes a full wire answer sooner, more makes it faster.
    """

    receive_buffer: int = 8 << 20

    @classmethod
    def read(cls, given: Mapping[str, str]) -> Settings:
        """Return the settings that a daemon's have for the driver. Raises LinkError ``InvalidSetting``."""
        known = attrs.fields(cls).receive_buffer
        value = given.get(known.name, str(known.default))
        if value.isascii() and value.isdigit() and _LEAST <= int(value) <= _MOST:
            return cls(int(value))
        told = f"{PREFIX}{known.name.upper()}: {value!r}: bytes, {_LEAST} to {_MOST}"
        raise LinkError("InvalidSetting", told, retry=False)
