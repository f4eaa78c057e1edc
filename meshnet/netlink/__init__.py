"""The one door to the kernel's netlink.

Pure functions build requests (`links`, `addresses`, `tc`); `Netlink` carries them out; `LinkMonitor` hears what
happens. pyroute2 lives behind `meshnet.netlink.iproute`, which only who needs it imports.
"""

from meshnet.netlink.ethtool import Ethtool
from meshnet.netlink.events import LinkEvent, LinkMonitor, Overrun
from meshnet.netlink.links import LinkInfo, LinkStats, VethSpec
from meshnet.netlink.socket import BatchError, Netlink
from meshnet.netlink.tc import Redirect
from meshnet.netlink.wire import Request

__all__ = [
    "BatchError",
    "Ethtool",
    "LinkEvent",
    "LinkInfo",
    "LinkMonitor",
    "LinkStats",
    "Netlink",
    "Overrun",
    "Redirect",
    "Request",
    "VethSpec",
]
