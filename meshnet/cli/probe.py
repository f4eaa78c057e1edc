"""Probes of a daemon, as a kubelet makes them: by what its own socket answers, so a loop that hangs is found."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from meshnet.cli.answers import ask
from meshnet.cli.exitcodes import DONE, FAILED
from meshnet.cli.relay import socket_of

if TYPE_CHECKING:
    from collections.abc import Mapping

LIVE = "live"
LIMIT_S = 4.0
"""Less than a kubelet waits, so that it is told why and not only that."""
PAUSE_S = 0.1


def probe(what: str, env: Mapping[str, str]) -> int:
    """Say on stdout how the daemon here is, and return an exit code: 0, or 1 when it answers and is not ready.

    Args:
        what: ``live``: it answers; ``ready``: and it has read the store, for which it has until `LIMIT_S`: a kubelet
            that finds one not ready comes back much later.
        env: names its socket as the daemon's own settings do.

    Raises:
        DaemonUnreachable: it does not answer within `LIMIT_S`.
    """
    socket = socket_of(env)
    deadline = time.monotonic() + LIMIT_S
    while True:
        health = ask(socket, "health", timeout_s=max(PAUSE_S, deadline - time.monotonic()))
        if what == LIVE or health.get("synced"):
            print(f"daemon at {socket}: {what}")
            return DONE
        if time.monotonic() + PAUSE_S >= deadline:
            print(f"daemon at {socket}: answers, but has not read the Topologies and nodes from its store yet")
            return FAILED
        time.sleep(PAUSE_S)
