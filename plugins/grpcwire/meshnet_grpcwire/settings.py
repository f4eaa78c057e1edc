"""The driver's setting: an environment variable of the daemon."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshnet.errors import LinkError

if TYPE_CHECKING:
    from collections.abc import Mapping

RECEIVE_BUFFER = 8 << 20
_LEAST, _MOST = 64 << 10, 256 << 20


def receive_buffer(given: Mapping[str, str]) -> int:
    """Return what the kernel keeps of a pod's frames while its stream does not take them, bytes a wire.

    Less makes a full wire answer sooner, more makes it faster.

    Args:
        given: the settings that a daemon has for the driver.

    Raises LinkError ``InvalidSetting``.
    """
    value = given.get("receive_buffer", str(RECEIVE_BUFFER))
    if value.isascii() and value.isdigit() and _LEAST <= int(value) <= _MOST:
        return int(value)
    told = f"MESHNET_GRPCWIRE_RECEIVE_BUFFER: {value!r}: bytes, {_LEAST} to {_MOST}"
    raise LinkError("InvalidSetting", told, retry=False)
