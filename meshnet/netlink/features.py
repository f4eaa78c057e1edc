"""Device features by name, as `ethtool -k` shows them."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from meshnet.netlink.ethtool import ethtool_ioctl

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

ETHTOOL_GSTRINGS = 0x1B
ETHTOOL_GSSET_INFO = 0x37
ETHTOOL_SFEATURES = 0x3B
ETH_SS_FEATURES = 4
ETH_GSTRING_LEN = 32

_SET_INFO = struct.Struct("=IIQI")
_STRINGS = struct.Struct("=III")
_HEAD = struct.Struct("=II")
_BLOCK = struct.Struct("=II")


def feature_names(socket_fd: int, link: str) -> Sequence[str]:
    """Return the name of each feature that this kernel knows, by number. Any link tells them. Raises KernelError."""
    what = f"list the features of {link}"
    info = ethtool_ioctl(socket_fd, link, _SET_INFO.pack(ETHTOOL_GSSET_INFO, 0, 1 << ETH_SS_FEATURES, 0), what)
    count = _SET_INFO.unpack(info)[3]
    request = _STRINGS.pack(ETHTOOL_GSTRINGS, ETH_SS_FEATURES, count) + bytes(count * ETH_GSTRING_LEN)
    told = ethtool_ioctl(socket_fd, link, request, what)[_STRINGS.size :]
    names = (told[at : at + ETH_GSTRING_LEN] for at in range(0, len(told), ETH_GSTRING_LEN))
    return [name.partition(b"\0")[0].decode(errors="replace") for name in names]


class WithoutFeatures:
    """Has links do without some features; what this kernel does not know of these nobody has.

    Args:
        names: of the features.
    """

    def __init__(self, names: Collection[str]) -> None:
        self._names = names
        self._request = b""

    def apply(self, socket_fd: int, link: str) -> None:
        """Clear them at a link in the namespace of a network socket, of whatever kind. Raises KernelError."""
        if not self._request:
            self._request = self._requested(feature_names(socket_fd, link))
        ethtool_ioctl(socket_fd, link, self._request, f"clear features of {link}")

    def _requested(self, known: Sequence[str]) -> bytes:
        blocks = [0] * ((len(known) + 31) // 32)
        for number, name in enumerate(known):
            if name in self._names:
                blocks[number // 32] |= 1 << number % 32
        return _HEAD.pack(ETHTOOL_SFEATURES, len(blocks)) + b"".join(_BLOCK.pack(valid, 0) for valid in blocks)
