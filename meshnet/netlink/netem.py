"""Delay on what a link sends, by the kernel's network emulator; not every kernel has it."""

from __future__ import annotations

import struct

from meshnet.netlink.tc import RTM_NEWQDISC, TCA_KIND, TCA_OPTIONS
from meshnet.netlink.wire import NLM_F_CREATE, NLM_F_REPLACE, Request, attribute, string

ROOT = 0xFFFFFFFF
_HANDLE = 1 << 16
_TCMSG = struct.Struct("=BxxxiIII")
# tc_netem_qopt: latency (of old, in ticks), limit in packets, loss, gap, duplicate, jitter
_QOPT = struct.Struct("=6I")
_LIMIT = 100_000
"""Packets that may be under way: with fewer a delay would also be a limit of rate."""
_TCA_NETEM_LATENCY64 = 10


def delay(ifindex: int, seconds: float) -> Request:
    """Delay everything that a link sends; once more it changes the delay. ENOENT on a kernel without netem."""
    options = _QOPT.pack(0, _LIMIT, 0, 0, 0, 0) + attribute(_TCA_NETEM_LATENCY64, struct.pack("=q", int(seconds * 1e9)))
    body = _TCMSG.pack(0, ifindex, _HANDLE, ROOT, 0) + string(TCA_KIND, "netem") + attribute(TCA_OPTIONS, options)
    return Request(
        RTM_NEWQDISC, NLM_F_CREATE | NLM_F_REPLACE, body, f"delay what link {ifindex} sends by {seconds * 1000:g} ms"
    )
