"""Where things of a lab are in its box."""

from __future__ import annotations

from pathlib import Path

RUN = Path("/run/meshnet")
"""Everything of a lab, on a tmpfs that only the box sees."""
NETNS = Path("/run/netns")
SUPERVISOR_LOG = RUN / "supervisor.log"
CONTROL_SOCKET = RUN / "lab.sock"
STORE = f"sqlite:{RUN / 'store.db'}?synchronous=off"
OWN = "meshnet"
"""What the machine's files do not have as source of a mount: what a lab has made itself."""
