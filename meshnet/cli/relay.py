"""A question to the daemon here, answered on stdout: what commands run in a daemon's pod, where its socket is."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from meshnet.cli.exitcodes import DONE
from meshnet.cni.client import ask

if TYPE_CHECKING:
    from collections.abc import Mapping

LIMIT_S = 2.5
"""Less than who asks from elsewhere waits, so that it is told why and not only that."""


def socket_of(env: Mapping[str, str]) -> str:
    """Return the path of the socket of the daemon here, as its own settings name it."""
    run_dir = env.get("MESHNET_RUN_DIR") or "/run/meshnet"
    return env.get("MESHNET_SOCKET") or os.path.join(run_dir, "meshnetd.sock")


def relay(query: str, env: Mapping[str, str]) -> int:
    """Print the daemon's answer to a query, JSON, and return an exit code.

    Raises DaemonUnreachable, and QueryError for a query that it does not know.
    """
    print(json.dumps(ask(socket_of(env), query, timeout_s=LIMIT_S)))
    return DONE
