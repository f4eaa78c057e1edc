"""Who holds a UDP port of the node, as far as that can be told."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from meshnet.netlink import Netlink
from meshnet_vxlan.owned import is_ours, read_all

if TYPE_CHECKING:
    from collections.abc import Iterator

# Of a line of /proc/net/udp: local address and port, and the number of the socket.
_LOCAL, _INODE = 1, 9


def port_holder(port: int) -> str:
    """Return who holds UDP port `port` of the calling thread's network namespace, in words.

    Reads the descriptors of every process that it may: in a thread.
    """
    sockets = {f"socket:[{inode}]" for inode in _sockets(port)}
    for pid in _processes():
        if _holds(pid, sockets):
            return f"process {pid} ({_command(pid)})"
    with Netlink.open() as netlink:
        for device in read_all(netlink):
            if device.port == port and not is_ours(device):
                return f"VXLAN device {device.info.name}"
    return "a process that this daemon cannot see"


def _sockets(port: int) -> Iterator[str]:
    for table in ("udp", "udp6"):
        # Of this thread: another one may be in another network namespace. Without IPv6 there is no second table.
        with contextlib.suppress(FileNotFoundError), open(f"/proc/thread-self/net/{table}") as lines:
            next(lines, None)
            for line in lines:
                fields = line.split()
                if int(fields[_LOCAL].rpartition(":")[2], 16) == port:
                    yield fields[_INODE]


def _processes() -> list[int]:
    return sorted(int(name) for name in os.listdir("/proc") if name.isdecimal())


def _holds(pid: int, sockets: set[str]) -> bool:
    # Another user's process does not show its descriptors, and one that has ended has none.
    with contextlib.suppress(OSError):
        for name in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                if os.readlink(f"/proc/{pid}/fd/{name}") in sockets:
                    return True
    return False


def _command(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/comm") as file:
            return file.read().strip()
    except OSError:
        return "ended since"
